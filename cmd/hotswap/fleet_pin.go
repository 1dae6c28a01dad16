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
	return `The node gets the version at once, older or newer, and takes part in no rollout until it is unpinned.` + "\n\n" +
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
	at, err := f.pin(ctx, v.Channel, c.Node, rollout.Pin{Version: v.Number, Tag: p.Tag, By: whoami(), Message: c.Message}, false)
	if err != nil {
		return err
	}
	if _, err := f.repo.Confirm(ctx, v, records.PinKey(v.Channel, c.Node), at.Revision); err != nil {
		return fleetFailure(err)
	}
	all, err := f.recs.Read(ctx)
	if err != nil {
		return fleetFailure(err)
	}
	if _, ok := all.Nodes[c.Node].Rollout(v.Channel); !ok {
		fmt.Fprintf(stdio.err, "hotswap: no node %s of the channel %s answers: the pin waits for it\n", printable.Line(c.Node), v.Channel)
	}
	_, err = fmt.Fprintf(stdio.out, "pinned %s to %s\n", c.Node, v)
	return err
}

// pin writes a node's pin.
func (f *control) pin(ctx context.Context, channel, node string, pin rollout.Pin, mustBe bool) (records.Entry, error) {
	if err := errors.Join(engine.CheckName("node", node), engine.CheckName("channel", channel)); err != nil {
		return records.Entry{}, fleetFailure(err)
	}
	before, entry, err := f.recs.Pin(ctx, channel, node)
	if err != nil {
		return entry, fleetFailure(err)
	}
	if f.keys != nil && entry.Sealed != nil {
		_, err := entry.Sealed.Pin(f.keys, channel, node)
		entry.Trusted = err == nil
	}
	if f.keys == nil {
		// As for an order: what nobody has signed would end, or hide, what is obeyed.
		_, order, err := f.recs.Order(ctx, channel)
		if err != nil {
			return entry, fleetFailure(err)
		}
		for _, there := range []*records.Sealed{order.Sealed, entry.Sealed} {
			if there != nil && there.Signed() {
				return entry, orderFailure(channel, orders.ErrUnsigned)
			}
		}
	}
	if mustBe && (before == nil || before.Version == 0) {
		return entry, failf(exitFailed, "%s is not pinned to a version of %s", node, channel)
	}
	at, err := f.recs.SetPin(ctx, channel, node, pin.After(before), entry)
	if errors.Is(err, records.ErrChanged) {
		return at, failf(exitTryAgain, "somebody else has changed the pin of %s at this moment", node)
	}
	return at, fleetFailure(err)
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
	if _, err := f.pin(ctx, c.Channel, c.Node, rollout.Pin{By: whoami()}, true); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdio.out, "unpinned %s\n", c.Node)
	return err
}
