package main

import (
	"context"
	"errors"
	"fmt"

	"hotswap/internal/engine"
	"hotswap/internal/orders"
	"hotswap/internal/printable"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
)

// fleetPinCmd is `hotswap fleet pin`.
type fleetPinCmd struct {
	engineFlags
	signFlags
	Node    string `arg:"" help:"The node."`
	Version string `arg:"" help:"The version that it gets and keeps, such as catalog@7."`
	Message string `short:"m" help:"Why."`
}

// Help is the text below the flags.
func (fleetPinCmd) Help() string {
	return `The node gets the version at once, older or newer, and takes part in no rollout until it is unpinned. If it answers, it is waited until it says that it obeys; that it has the version is for hotswap fleet status to say. The exit status is 65 if it refuses the pin, as not signed by anybody whom it trusts.` + "\n\n" +
		examples("", "hotswap fleet pin web-3 catalog@6 -m 'prices of April, for the audit'")
}

// Run pins the node.
func (c *fleetPinCmd) Run(ctx context.Context, stdio *streams) error {
	v, err := repository.ParseVersion(c.Version)
	if err != nil {
		return fleetFailure(err)
	}
	f, err := c.control(ctx, c.signFlags)
	if err != nil {
		return err
	}
	defer f.close()
	p, err := f.repo.Claim(ctx, v)
	if err != nil {
		return fleetFailure(err)
	}
	pin := rollout.Pin{Version: v.Number, Tag: p.Tag, By: whoami(), Message: c.Message}
	last := f.lastOf(ctx, v.Channel, c.Node)
	before, at, err := f.pin(ctx, stdio, v.Channel, c.Node, pin, false)
	if err != nil {
		return err
	}
	// A collection that has not seen the pin may have removed the version.
	if _, err := f.repo.Confirm(ctx, v, records.PinKey(v.Channel, c.Node), at.Revision); err != nil {
		undo := rollout.Pin{By: whoami()}.After(&pin)
		if before != nil {
			undo = *before
		}
		_, undone := f.recs.SetPin(ctx, v.Channel, c.Node, undo, at)
		return fleetFailure(errors.Join(err, undone))
	}
	if err := f.awaitPin(ctx, stdio, v.Channel, c.Node, last, v.Number); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdio.out, "pinned %s to %s\n", c.Node, v)
	return err
}

// pin writes a node's pin, and returns the one before. Of one that is not believed nothing is
// taken over, since what is written may be signed.
func (f *control) pin(ctx context.Context, stdio *streams, channel, node string, pin rollout.Pin, mustBe bool) (before *rollout.Pin, entry records.Entry, err error) {
	if err := errors.Join(engine.CheckName("node", node), engine.CheckName("channel", channel)); err != nil {
		return nil, entry, fleetFailure(err)
	}
	before, entry, err = f.recs.Pin(ctx, channel, node)
	notBelieved := err
	if err != nil && !errors.Is(err, records.ErrDamaged) {
		return nil, entry, fleetFailure(err)
	}
	if f.keys != nil && entry.Sealed != nil {
		_, notBelieved = entry.Sealed.Pin(f.keys, channel, node)
		entry.Trusted = notBelieved == nil
	}
	if notBelieved != nil {
		before = nil
	}
	if f.keys == nil {
		// As for an order: what nobody has signed would end, or hide, what is obeyed.
		_, order, err := f.recs.Order(ctx, channel)
		if err != nil {
			return nil, entry, fleetFailure(err)
		}
		for _, there := range []*records.Sealed{order.Sealed, entry.Sealed} {
			if there != nil && there.Signed() {
				return nil, entry, orderFailure(channel, orders.ErrUnsigned)
			}
		}
	}
	pin = pin.After(before)
	if mustBe && (before == nil || before.Version == 0) {
		// A node keeps a pin that was signed, also if the engine has lost it.
		all, err := f.recs.Read(ctx)
		if err != nil {
			return nil, entry, fleetFailure(err)
		}
		held := all.Nodes[node].Databases[channel].Pinned
		if held == 0 && notBelieved == nil {
			return nil, entry, failf(exitFailed, "%s is not pinned to a version of %s", node, channel)
		}
		pin = pin.After(&rollout.Pin{Version: held, From: pin.From})
	}
	if notBelieved != nil {
		fmt.Fprintf(stdio.err, "hotswap: the pin before counts for nothing: %s\n", printable.Line(notBelieved.Error()))
		if f.keys != nil {
			fmt.Fprintln(stdio.err, "hotswap: if it is a colleague's, name their public key with --trust")
		}
	}
	trusted := entry.Trusted
	entry, err = f.recs.SetPin(ctx, channel, node, pin, entry)
	entry.Trusted = trusted
	if errors.Is(err, records.ErrChanged) {
		return nil, entry, failf(exitTryAgain, "somebody else has changed the pin of %s at this moment", node)
	}
	return before, entry, fleetFailure(err)
}

// fleetUnpinCmd is `hotswap fleet unpin`.
type fleetUnpinCmd struct {
	engineFlags
	signFlags
	Node    string `arg:"" help:"The node."`
	Channel string `arg:"" help:"The database's name across the fleet."`
}

// Help is the text below the flags.
func (fleetUnpinCmd) Help() string {
	return `The node then gets what the last rollout says, also if that is older than what it was pinned to.` + "\n\n" +
		examples("", "hotswap fleet unpin web-3 catalog")
}

// Run takes the pin away.
func (c *fleetUnpinCmd) Run(ctx context.Context, stdio *streams) error {
	f, err := c.control(ctx, c.signFlags)
	if err != nil {
		return err
	}
	defer f.close()
	last := f.lastOf(ctx, c.Channel, c.Node)
	if _, _, err := f.pin(ctx, stdio, c.Channel, c.Node, rollout.Pin{By: whoami()}, true); err != nil {
		return err
	}
	if !last.at.IsZero() {
		if err := f.awaitPin(ctx, stdio, c.Channel, c.Node, last, 0); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(stdio.out, "unpinned %s\n", c.Node)
	return err
}
