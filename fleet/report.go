package fleet

import (
	"context"
	"os"
	"time"

	"hotswap/internal/records"
)

// reportRest is the least time between two reports.
const reportRest = 50 * time.Millisecond

// report says how the node is: when that changes, and often enough to be taken for alive.
func (n *Node) report() {
	renewal := time.NewTicker(records.Renewal)
	defer renewal.Stop()
	n.again("say how the node is", func(ctx context.Context) error {
		for {
			ctx, cancel := context.WithTimeout(ctx, records.NodeTTL)
			err := n.planeNow().PutNode(ctx, n.record())
			cancel()
			if err != nil {
				return err
			}
			sleep(n.ctx, reportRest)
			select {
			case <-n.dirty:
			case <-renewal.C:
			case <-n.ctx.Done():
				return errEnough
			}
		}
	})
}

// record is what the node says of itself.
func (n *Node) record() records.Node {
	n.mu.Lock()
	r := records.Node{Node: n.cfg.Node, Instance: n.instance, Host: n.host, PID: os.Getpid(), Labels: n.cfg.Labels,
		Clock: time.Now(), Twin: n.twin, Databases: map[string]records.Database{}}
	n.mu.Unlock()
	for channel, d := range n.databases {
		r.Databases[channel] = d.current()
	}
	return r
}
