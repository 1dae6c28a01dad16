package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"hotswap/internal/fleetview"
	"hotswap/internal/printable"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// fleetRolloutCmd is `hotswap fleet rollout`.
type fleetRolloutCmd struct {
	engineFlags
	signFlags
	Version   string            `arg:"" help:"The version, such as catalog@7; catalog alone is the newest."`
	Canary    int               `placeholder:"N" help:"Begin with a wave of this many nodes."`
	Waves     percents          `placeholder:"10%,50%" help:"How many of the nodes are reached with each wave. The last wave, 100%, may be left out; by default it is the only one."`
	Soak      time.Duration     `placeholder:"5m" help:"Watch each wave for this long before the next one opens."`
	MaxFailed int               `placeholder:"N" help:"Halt when more nodes than this have failed; 0 by default."`
	Select    map[string]string `mapsep:"," placeholder:"LABEL=VALUE" help:"Only the nodes with this label. May be repeated."`
	Approve   bool              "help:\"Wait before each wave after the first, until `hotswap fleet resume` lets it go on.\""
	Timeout   time.Duration     `placeholder:"1h" help:"How long a node may take to prepare, and to swap."`
	Afresh    bool              `help:"Take nothing from the order that is there, which nodes refuse, or whose signature is not trusted: not what was withdrawn, and not which version nodes without a database get until their wave opens."`
	Message   string            `short:"m" help:"Why."`
	Wait      bool              `short:"w" help:"Return when it is done, or with exit status 1 when it is halted."`
	Quiet     bool              `short:"q" help:"Print only errors."`
}

// Help is the text below the flags.
func (fleetRolloutCmd) Help() string {
	return `Every node fetches the version and checks it. Once all that answer have, the first wave swaps it in. Nodes are taken by name; a node that comes later, or is back, gets the version when the rollout is done. ` +
		`The nodes go on without this command.` + "\n\n" + examples(
		"the newest version, to everybody", "hotswap fleet rollout catalog",
		"one node first, then a tenth, a half and all, with five minutes in between", "hotswap fleet rollout catalog@7 --canary 1 --waves 10%,50% --soak 5m --wait",
		"the web servers, each wave on your word", "hotswap fleet rollout catalog --select role=web --canary 1 --approve",
	)
}

// Run orders the rollout.
func (c *fleetRolloutCmd) Run(ctx context.Context, stdio *streams) error {
	plan := rollout.Plan{Select: c.Select, Canary: c.Canary, Waves: c.Waves, Soak: c.Soak, MaxFailed: c.MaxFailed, Approve: c.Approve, Timeout: c.Timeout}
	if err := plan.Check(); err != nil {
		return usagef("%v", err)
	}
	f, err := c.control(ctx, c.signFlags)
	if err != nil {
		return err
	}
	defer f.close()
	p, err := find(ctx, f.repo, c.Version)
	if err != nil {
		return fleetFailure(err)
	}
	named := strings.Contains(c.Version, "@")
	o, err := f.order(ctx, p.Channel, c.Afresh, func(before *rollout.Order, done bool) (rollout.Order, error) {
		if !named && before != nil && before.Withdrawn(p.Number, c.Select) {
			return rollout.Order{}, fmt.Errorf("%s@%d, the newest version, was withdrawn by a rollback: name it to roll it out all the same", p.Channel, p.Number)
		}
		o, err := rollout.NewRollout(rand.Text()[:12], p.Channel, p.Number, plan, before, done)
		o.By, o.Message = whoami(), c.Message
		return o, err
	})
	if err != nil {
		return err
	}
	if !c.Quiet {
		if err := f.announce(ctx, stdio, o); err != nil {
			return err
		}
	}
	if c.Wait {
		return f.wait(ctx, stdio, o, c.Quiet)
	}
	return nil
}

// percents are growing percentages, with commas between.
type percents []int

// Decode reads them.
func (p *percents) Decode(ctx *kong.DecodeContext) error {
	word, err := ctx.Scan.PopValue("percentages")
	if err != nil {
		return err
	}
	*p = nil
	for part := range strings.SplitSeq(fmt.Sprint(word.Value), ",") {
		n, err := strconv.Atoi(strings.TrimSuffix(part, "%"))
		if err != nil {
			return fmt.Errorf("%q is not a list of percentages, such as 10%%,50%%,100%%", fmt.Sprint(word.Value))
		}
		*p = append(*p, n)
	}
	return nil
}

// announce says what was ordered, and of how many nodes.
func (f *control) announce(ctx context.Context, stdio *streams, o rollout.Order) error {
	all, err := f.recs.Read(ctx)
	if err != nil {
		return fleetFailure(err)
	}
	there, pinned := 0, ""
	for name, n := range all.Nodes {
		switch node, ok := n.Rollout(o.Channel); {
		case !ok || !o.Selects(node.Labels):
		case all.Pins[o.Channel][name].Version != 0:
			pinned = ", without those that are pinned"
		default:
			there++
		}
	}
	verb := "rolling out"
	if o.Kind == rollout.Rollback {
		verb = "going back to"
	}
	fmt.Fprintf(stdio.err, "%s %s@%d: %s%s\n", verb, o.Channel, o.Version, plural(there, "node"), pinned)
	if there == 0 {
		fmt.Fprintf(stdio.err, "hotswap: no node that is meant answers: the order waits for one\n")
	}
	return nil
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

// wait shows how an order proceeds, until it is done or halted.
func (f *control) wait(ctx context.Context, stdio *streams, o rollout.Order, quiet bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var last string
	var ended error
	over := false
	say := func(p rollout.Progress) {
		if text := fleetview.ProgressLine(o, p); text != last && !quiet {
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
