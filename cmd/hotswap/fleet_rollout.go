package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"hotswap/internal/rollout"
)

// fleetRolloutCmd is `hotswap fleet rollout`.
type fleetRolloutCmd struct {
	engineFlags
	signFlags
	waitFlags
	Version    string            `arg:"" help:"The version, such as catalog@7; catalog alone is the newest."`
	Canary     int               `placeholder:"N" help:"Begin with a wave of this many nodes."`
	Waves      percents          `placeholder:"10%,50%" help:"How many of the nodes are reached with each wave. The last wave, 100%, may be left out; by default it is the only one."`
	Soak       time.Duration     `placeholder:"5m" help:"Watch each wave for this long before the next one opens."`
	MaxFailed  int               `placeholder:"N" help:"Halt when more nodes than this have failed; 0 by default."`
	Select     map[string]string `mapsep:"," placeholder:"LABEL=VALUE" help:"Only the nodes with this label. May be repeated."`
	AllowEmpty bool              `help:"Order it although --select matches no node yet: those that join later get it."`
	Approve    bool              "help:\"Wait before each wave after the first, until `hotswap fleet resume` lets it go on.\""
	Timeout    nodeTimeout       `default:"1h" help:"How long a node may take to prepare, and to swap."`
	Afresh     bool              `help:"Take nothing from the order that is there, which nodes refuse, or whose signature is not trusted: not what was withdrawn, and not which version nodes without a database get until their wave opens."`
	Message    string            `short:"m" help:"Why."`
}

// Help is the text below the flags.
func (fleetRolloutCmd) Help() string {
	return `Every node fetches the version and checks it. Once all that answer have, the first wave swaps it in. Nodes are taken by name; a node that comes later, or is back, gets the version when the rollout is done. ` +
		`The nodes go on without this command. ` + waitHelp + "\n\n" + examples(
		"the newest version, to everybody", "hotswap fleet rollout catalog",
		"one node first, then a tenth, a half and all, with five minutes in between", "hotswap fleet rollout catalog@7 --canary 1 --waves 10%,50% --soak 5m --wait",
		"the web servers, each wave on your word", "hotswap fleet rollout catalog --select role=web --canary 1 --approve",
	)
}

// Run orders the rollout.
func (c *fleetRolloutCmd) Run(ctx context.Context, stdio *streams) error {
	plan := rollout.Plan{Select: c.Select, Canary: c.Canary, Waves: c.Waves, Soak: c.Soak, MaxFailed: c.MaxFailed, Approve: c.Approve, Timeout: time.Duration(c.Timeout)}
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
	if len(c.Select) > 0 && !c.AllowEmpty {
		if err := f.refuseNobody(ctx, p.Channel, c.Select); err != nil {
			return err
		}
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
			return afterOrder(ctx, o, err)
		}
	}
	return c.wait(ctx, stdio, f, o)
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
	switch {
	case there == 0 && pinned != "":
		fmt.Fprintf(stdio.err, "hotswap: %s: the order waits until one is not, or another one answers\n", rollout.AllPinned)
	case there == 0:
		fmt.Fprintf(stdio.err, "hotswap: no node that is meant answers: the order waits for one\n")
	}
	return nil
}
