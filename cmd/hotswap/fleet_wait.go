package main

import (
	"context"
	"fmt"
	"time"

	"hotswap/internal/fleetview"
	"hotswap/internal/printable"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// waitFlags are those of the commands after which nodes move.
type waitFlags struct {
	Wait  bool `short:"w" help:"Return when it is done, or with exit status 1 when it is halted."`
	Quiet bool `short:"q" help:"Print only errors."`
}

// haltedFailure says why a rollout was halted, and what can be done.
func haltedFailure(o rollout.Order, p rollout.Progress) error {
	why := ""
	if failures := fleetview.Failures(p.Failed); failures != "" {
		why = " (" + printable.Line(failures) + ")"
	}
	return failf(exitFailed, "%s%s", printable.Line(fleetview.ProgressLine(o, p)), why).
		withHint("`hotswap fleet resume %s` tries again, and `hotswap fleet rollback %[1]s` goes back", o.Channel)
}

// haltRest is how long it is waited, once a rollout is halted, for who else has failed.
const haltRest = 500 * time.Millisecond

// wait shows, if it is to be waited, how an order proceeds, until it is done or halted.
func (w waitFlags) wait(ctx context.Context, stdio *streams, f *control, o rollout.Order) error {
	if !w.Wait {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var last string
	var ended error
	over := false
	say := func(p rollout.Progress) {
		if text := fleetview.ProgressLine(o, p); text != last && !w.Quiet {
			last = text
			fmt.Fprintf(stdio.err, "%s\n", indent(text))
			if p.Phase == rollout.Awaiting {
				fmt.Fprintf(stdio.err, "hotswap: `hotswap fleet resume %s` approves it\n", o.Channel)
			}
		}
	}
	err := f.recs.WatchChannels(ctx, []string{o.Channel}, "", func(c records.Change) {
		switch {
		case over:
		case c.Order != nil && c.Order.ID != o.ID:
			over, ended = true, failf(exitFailed, "another order of %s has taken its place: %s@%d", o.Channel, o.Channel, c.Order.Version)
		case c.Order != nil:
			o = *c.Order
		case c.Progress != nil && c.Progress.Phase == rollout.Awaiting && o.Approved(c.Progress.Open):
			// The controller has not seen that yet.
		case c.Progress != nil && c.Progress.Of(o):
			if c.Progress.Phase != rollout.Halted {
				say(*c.Progress)
			}
			switch c.Progress.Phase {
			case rollout.Done:
				over = true
				if n := len(c.Progress.Failed); n > 0 {
					fmt.Fprintf(stdio.err, "hotswap: %s failed: see `hotswap fleet status %s`\n", plural(n, "node"), o.Channel)
				}
			case rollout.Halted:
				// Others may have failed at the same time, and are counted yet.
				ended = haltedFailure(o, *c.Progress)
				time.AfterFunc(haltRest, cancel)
			}
		}
		if over {
			cancel()
		}
	})
	if over || ended != nil {
		return ended
	}
	return fleetFailure(err)
}
