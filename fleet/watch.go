package fleet

import (
	"context"
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
	if err := n.recognise(ctx); err != nil {
		return n.watchEnded(ctx, err)
	}
	channels := slices.Sorted(maps.Keys(n.databases))
	sure := n.doubt // the leader has just been asked
	n.doubt = false
	err := n.planeNow().WatchChannels(ctx, channels, n.cfg.Node, func(c records.Change) {
		n.setAway(nil)
		n.phases.saw(c)
		for _, d := range n.databases {
			if d.tell(c); d.toldOlder() && !sure {
				n.doubt = true
				cancel()
			}
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
