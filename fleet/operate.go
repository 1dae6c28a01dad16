package fleet

import (
	"context"
	"errors"
	"fmt"

	"hotswap/internal/fleetpage"
	"hotswap/internal/orders"
)

// errNotReached: the engine was not reached yet.
var errNotReached = errors.New("the engine was not reached yet")

// errSigned: an order of a node's would not be obeyed.
var errSigned = errors.New("orders are signed in this fleet, and a node has no key")

// Overview reads from the engine how the whole fleet is, as JSON: nodes by version, the waves
// of a rollout, what is wrong with whom. With Halt and Rollback it makes the node what a page
// can show, sockserver.UI.Fleet.
func (n *Node) Overview(ctx context.Context) ([]byte, error) {
	page, err := n.fleetPage()
	if err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	return page.Overview(ctx)
}

// Halt halts the rollout of a channel, as `hotswap fleet halt` does, if the node's credentials
// may order. Where nodes have trusted keys an order has to be signed, and a node has no key to
// do it.
func (n *Node) Halt(ctx context.Context, channel string) error {
	return n.change(channel, "halt", func(page *fleetpage.Fleet) error { return page.Halt(ctx, channel) })
}

// Rollback has the fleet go back to the version before, as `hotswap fleet rollback` does, under
// the conditions of Halt.
func (n *Node) Rollback(ctx context.Context, channel string) error {
	return n.change(channel, "rollback", func(page *fleetpage.Fleet) error { return page.Rollback(ctx, channel) })
}

func (n *Node) change(channel, what string, change func(*fleetpage.Fleet) error) error {
	if len(n.cfg.trust) > 0 {
		return fmt.Errorf("fleet: %w: use `hotswap fleet %s %s --key FILE`", errSigned, what, channel)
	}
	page, err := n.fleetPage()
	if err == nil {
		err = change(page)
	}
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	return nil
}

// fleetPage is what a page shows, once the engine was reached.
func (n *Node) fleetPage() (*fleetpage.Fleet, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.plane == nil {
		return nil, fmt.Errorf("%w: %s", errNotReached, n.away)
	}
	if n.page == nil {
		n.page = fleetpage.New(orders.Desk{Records: n.plane, Versions: n.store}, n.plane.Read, "the page of node "+n.cfg.Node)
	}
	return n.page, nil
}
