package main

import (
	"context"
	"fmt"
	"time"

	"github.com/alecthomas/kong"

	"hotswap/internal/fleetview"
	"hotswap/internal/printable"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// waitFlags are those of the commands after which nodes move.
type waitFlags struct {
	Wait  bool `short:"w" help:"Return at the end, with exit status 0 if no node has failed."`
	Quiet bool `short:"q" help:"Print only errors."`
}

// waitHelp says what the end is, and when the exit status is 0.
const waitHelp = "With --wait, the exit status is 0 when each node that is meant, answers, and is not pinned has the version, and is in order, or has gone back. " +
	"It is 1 when a node has failed, also if --max-failed permits it; when this is halted, or another order takes its place; and when all that answer are pinned. " +
	"As long as none answers, it waits for one."

// nodeTimeout is how long a node may take.
type nodeTimeout time.Duration

// Decode reads it; nobody can do anything in no time.
func (t *nodeTimeout) Decode(ctx *kong.DecodeContext) error {
	word, err := ctx.Scan.PopValue("duration")
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(fmt.Sprint(word.Value))
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is not a time that a node may take, such as 90s or 1h", fmt.Sprint(word.Value))
	}
	*t = nodeTimeout(d)
	return nil
}

// haltedFailure says why a rollout was halted, and what can be done.
func haltedFailure(o rollout.Order, p rollout.Progress) error {
	return failf(exitFailed, "%s%s", printable.Line(fleetview.ProgressLine(o, p)), whoFailed(p)).
		withHint("`hotswap fleet resume %s` tries again, and `hotswap fleet rollback %[1]s` goes back", o.Channel)
}

func whoFailed(p rollout.Progress) string {
	if failures := fleetview.Failures(p.Failed); failures != "" {
		return " (" + printable.Line(failures) + ")"
	}
	return ""
}

// haltRest is how long it is waited, once a rollout is halted, for who else has failed, and
// whether somebody resumes it at once.
const haltRest = 500 * time.Millisecond

// wait shows, if it is to be waited, how an order proceeds, until it has ended.
func (w waitFlags) wait(ctx context.Context, stdio *streams, f *control, o rollout.Order) error {
	if !w.Wait {
		return nil
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	l := onlooker{waitFlags: w, stdio: stdio, order: o, leave: cancel}
	err := f.recs.WatchChannels(watching, []string{o.Channel}, "", l.tell)
	if l.over || l.rest != nil {
		return l.ended
	}
	return afterOrder(ctx, o, err)
}

// afterOrder is the error of a command that has ordered.
func afterOrder(ctx context.Context, o rollout.Order, err error) error {
	if ctx.Err() == nil {
		return fleetFailure(err)
	}
	return failf(exitFailed, "%w; the order stands", context.Cause(ctx)).
		withHint("`hotswap fleet status %s` shows how it goes on, and `hotswap fleet halt %[1]s` halts it", o.Channel)
}

// onlooker waits for the end of an order.
type onlooker struct {
	waitFlags
	stdio *streams
	order rollout.Order
	last  string // what was said
	over  bool
	ended error       // how, if it is over, or halted
	rest  *time.Timer // runs while it is halted, and then leaves
	leave func()
}

// tell takes a change.
func (l *onlooker) tell(c records.Change) {
	switch {
	case l.over:
	case c.Order != nil:
		l.ordered(*c.Order)
	case c.Progress != nil && c.Progress.Of(l.order):
		l.proceeds(*c.Progress)
	}
}

func (l *onlooker) ordered(o rollout.Order) {
	resumed := o.Attempt != l.order.Attempt
	switch {
	case o.ID != l.order.ID:
		l.end(failf(exitFailed, "another order of %s has taken its place: %s@%d", o.Channel, o.Channel, o.Version))
		return
	case o.Halted:
		l.halted(haltedFailure(o, rollout.Progress{Phase: rollout.Halted, Reason: rollout.ByOperator}))
	case resumed:
		l.goesOn()
	}
	l.order = o
}

func (l *onlooker) proceeds(p rollout.Progress) {
	o := l.order
	switch {
	case p.Phase == rollout.Halted:
		l.halted(haltedFailure(o, p))
	case p.Phase == rollout.Done && len(p.Failed) > 0:
		l.say(p)
		l.end(failf(exitFailed, "%s failed%s", plural(len(p.Failed), "node"), whoFailed(p)).
			withHint("`hotswap fleet resume %s` has them try again", o.Channel))
	case p.Phase == rollout.Done:
		l.say(p)
		l.end(nil)
	case o.Halted, p.Phase == rollout.Awaiting && o.Approved(p.Open):
		// The controller has not seen that yet.
	case p.Reason == rollout.AllPinned:
		l.end(failf(exitFailed, "%s", fleetview.ProgressLine(o, p)).
			withHint("the order stands: once `hotswap fleet unpin NODE %s` lets a node follow it, it does", o.Channel))
	case l.goesOn():
		l.say(p)
	}
}

// say says how far it is, if that was not said yet.
func (l *onlooker) say(p rollout.Progress) {
	text := fleetview.ProgressLine(l.order, p)
	if text == l.last || l.Quiet {
		return
	}
	l.last = text
	fmt.Fprintf(l.stdio.err, "%s\n", indent(text))
	if p.Phase == rollout.Awaiting {
		fmt.Fprintf(l.stdio.err, "hotswap: `hotswap fleet resume %s` approves it\n", l.order.Channel)
	}
}

func (l *onlooker) end(how error) {
	l.over, l.ended = true, how
	l.leave()
}

// halted leaves after a rest, unless it goes on by then.
func (l *onlooker) halted(why error) {
	l.ended = why
	if l.rest == nil {
		l.rest = time.AfterFunc(haltRest, l.leave)
	}
}

// goesOn reports whether it is not halted any more, and was not for so long that nobody waits.
func (l *onlooker) goesOn() bool {
	if l.rest == nil {
		return true
	}
	if !l.rest.Stop() {
		return false
	}
	l.rest, l.ended = nil, nil
	return true
}
