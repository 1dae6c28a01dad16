package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
)

// fleetHaltCmd is `hotswap fleet halt`.
type fleetHaltCmd struct {
	engineFlags
	signFlags
	Channel string `arg:"" help:"The database's name across the fleet."`
}

// Help is the text below the flags.
func (fleetHaltCmd) Help() string {
	return "Nodes that have swapped stay as they are, and no other swaps until `hotswap fleet resume`, or another order.\n\n" +
		examples("", "hotswap fleet halt catalog")
}

// Run halts it.
func (c *fleetHaltCmd) Run(ctx context.Context, stdio *streams) error {
	was := false
	err := c.change(ctx, stdio, c.signFlags, waitFlags{}, c.Channel, "halted", func(o rollout.Order, p rollout.Progress) (rollout.Order, error) {
		if o.Halted {
			return o, failf(exitFailed, "%s@%d is halted already", o.Channel, o.Version)
		}
		was = p.Of(o) && p.Phase == rollout.Done
		return o.Halt(), nil
	})
	if err == nil && was {
		fmt.Fprintf(stdio.err, "hotswap: it was done: until `hotswap fleet resume %s`, nodes that come later do not get it\n", c.Channel)
	}
	return err
}

// fleetResumeCmd is `hotswap fleet resume`.
type fleetResumeCmd struct {
	engineFlags
	signFlags
	waitFlags
	Channel string `arg:"" help:"The database's name across the fleet."`
}

// Help is the text below the flags.
func (fleetResumeCmd) Help() string {
	return "Nodes that have failed try again. " + waitHelp + "\n\n" +
		examples("", "hotswap fleet resume catalog --wait")
}

// Run resumes it.
func (c *fleetResumeCmd) Run(ctx context.Context, stdio *streams) error {
	return c.change(ctx, stdio, c.signFlags, c.waitFlags, c.Channel, "resumed", func(o rollout.Order, p rollout.Progress) (rollout.Order, error) {
		switch {
		case !o.Halted && p.Of(o) && p.Phase == rollout.Awaiting:
			return o.Allow(p.Open), nil
		case o.Halted || p.Of(o) && (p.Phase == rollout.Halted || len(p.Failed) > 0):
			return o.Resume(), nil
		}
		return o, failf(exitFailed, "%s@%d is neither halted nor waits for approval", o.Channel, o.Version).
			withHint("see `hotswap fleet status %s`", o.Channel)
	})
}

// change changes the order that there is.
func (f engineFlags) change(ctx context.Context, stdio *streams, sign signFlags, wait waitFlags, channel, done string, to func(rollout.Order, rollout.Progress) (rollout.Order, error)) error {
	if err := engine.CheckName("channel", channel); err != nil {
		return fleetFailure(err)
	}
	c, err := f.control(ctx, sign)
	if err != nil {
		return err
	}
	defer c.close()
	progress, _, err := c.recs.Progress(ctx, channel)
	if err != nil {
		return fleetFailure(err)
	}
	if progress == nil {
		progress = &rollout.Progress{}
	}
	o, err := c.order(ctx, channel, false, func(before *rollout.Order, _ bool) (rollout.Order, error) {
		if before == nil {
			return rollout.Order{}, nothingOrdered(channel)
		}
		return to(*before, *progress)
	})
	if err == nil && !wait.Quiet {
		_, err = fmt.Fprintf(stdio.out, "%s %s@%d\n", done, o.Channel, o.Version)
	}
	if err != nil {
		return err
	}
	return wait.wait(ctx, stdio, c, o)
}

func nothingOrdered(channel string) error {
	return failf(exitFailed, "nothing was rolled out to the channel %s yet", channel).
		withHint("`hotswap fleet publish FILE %s` and `hotswap fleet rollout %[1]s` bring it a version", channel)
}

// fleetRollbackCmd is `hotswap fleet rollback`.
type fleetRollbackCmd struct {
	engineFlags
	signFlags
	waitFlags
	Version string      `arg:"" help:"The channel, to go back to the version before; or a version, such as catalog@6."`
	Timeout nodeTimeout `default:"1h" help:"How long a node may take to go back."`
	Message string      `short:"m" help:"Why."`
}

// Help is the text below the flags.
func (fleetRollbackCmd) Help() string {
	return `Every node of the last rollout goes back at once, without waves; the versions since are withdrawn from them, and one that was away goes back when it answers again. ` + waitHelp + "\n\n" + examples(
		"to the version before", "hotswap fleet rollback catalog --wait",
		"further", "hotswap fleet rollback catalog@4",
	)
}

// Run goes back.
func (c *fleetRollbackCmd) Run(ctx context.Context, stdio *streams) error {
	v := repository.Version{Channel: c.Version}
	if parsed, err := repository.ParseVersion(c.Version); err == nil {
		v = parsed
	} else if err := engine.CheckName("channel", v.Channel); err != nil {
		return fleetFailure(err)
	}
	f, err := c.control(ctx, c.signFlags)
	if err != nil {
		return err
	}
	defer f.close()
	o, err := f.desk().Rollback(ctx, v.Channel, rand.Text()[:12], v.Number, func(o *rollout.Order) {
		o.By, o.Message, o.Timeout = whoami(), c.Message, time.Duration(c.Timeout)
	})
	err = orderFailure(v.Channel, err)
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
