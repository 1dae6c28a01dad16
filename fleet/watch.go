package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"hotswap/internal/records"
)

// resync is how long a watch is believed without beginning anew.
const resync = time.Minute

// watchOrders tells the databases what changes. It begins anew now and then, in case that a
// watch has gone quiet, and what it then tells again is known already.
func (n *Node) watchOrders(ctx context.Context) error {
	ctx, cancel := n.forWatch(ctx, resync)
	defer cancel()
	channels := slices.Sorted(maps.Keys(n.databases))
	err := n.planeNow().WatchChannels(ctx, channels, n.cfg.Node, func(c records.Change) {
		n.setAway(nil)
		if c.Kind == records.TheLease {
			n.lease.saw(c)
		}
		for _, d := range n.databases {
			d.tell(c)
		}
	})
	return n.watchEnded(ctx, err)
}

// forWatch is a context that ends in a while, and when the connection is back after it was
// lost: then a watch begins anew at once, which would notice only seconds later.
func (n *Node) forWatch(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, while)
	conn := n.engine.Conn()
	back := conn.StatusChanged(nats.CONNECTED)
	n.done.Go(func() {
		defer cancel()
		defer conn.RemoveStatusListener(back)
		select {
		case <-back:
		case <-ctx.Done():
		}
	})
	return ctx, cancel
}

// watchEnded is the error of a watch, but for the end of its time.
func (n *Node) watchEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	n.setAway(err)
	return err
}

// watchName looks whether another program says that it is this node.
func (n *Node) watchName(ctx context.Context) error {
	ctx, cancel := n.forWatch(ctx, resync)
	defer cancel()
	caught, times := false, map[string]int{}
	err := n.planeNow().WatchNodes(ctx, func(c records.Change) {
		if c.Kind == records.Caught {
			caught = true // what is there may be of the run before
		}
		if c.Record == nil || c.Record.Instance == n.instance || !caught {
			return
		}
		if times[c.Record.Instance]++; times[c.Record.Instance] == 2 {
			twin := fmt.Sprintf("process %d on %s", c.Record.PID, c.Record.Host)
			n.log.Error().Str("other", twin).Msg("another program has joined under this node's name: give each its own")
			n.mu.Lock()
			n.twin = twin
			n.mu.Unlock()
			n.changed()
		}
	}, n.cfg.Node)
	n.mu.Lock()
	if len(times) == 0 {
		n.twin = ""
	}
	n.mu.Unlock()
	return n.watchEnded(ctx, err)
}
