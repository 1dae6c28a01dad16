package fleet

import (
	"context"

	"hotswap/internal/records"
)

// recognise finds out whether the engine is the one that it was. One that was emptied, or
// restored from an older copy of its directory, numbers revisions and versions anew: what the
// node has seen of the one before would have it ignore new orders, and take one version for
// another of the same number.
func (n *Node) recognise(ctx context.Context) error {
	made, err := n.planeNow().Made(ctx)
	if err != nil {
		return err
	}
	another := !n.made.IsZero() && !made.Equal(n.made)
	if n.doubt && !another {
		// It may be a server of the cluster that is cut off, and does not know it yet.
		for _, d := range n.databases {
			d.unknown()
		}
		sleep(ctx, n.cfg.doubt)
		for _, d := range n.databases {
			behind, err := d.behind(ctx)
			if err != nil {
				return err
			}
			another = another || behind
		}
	}
	n.made = made
	if !another {
		return nil
	}
	n.log.Warn().Msg("the engine is another one, or was restored from an older copy: the node finds out anew what it has")
	n.planeNow().Forget()
	for _, d := range n.databases {
		d.forget()
	}
	return nil
}

// behind reports whether the engine's leader has an older record than the node was told of.
func (d *database) behind(ctx context.Context) (bool, error) {
	plane := d.node.planeNow()
	for i, read := range []func() (records.Entry, error){
		func() (records.Entry, error) { _, at, err := plane.Order(ctx, d.channel); return at, err },
		func() (records.Entry, error) { _, at, err := plane.Progress(ctx, d.channel); return at, err },
		func() (records.Entry, error) {
			_, at, err := plane.Pin(ctx, d.channel, d.node.cfg.Node)
			return at, err
		},
	} {
		now, err := read()
		if err != nil && now.Revision == 0 { // else it is there, and damaged
			return false, err
		}
		d.mu.Lock()
		older := d.view.seen[i].older(now)
		d.mu.Unlock()
		if older {
			return true, nil
		}
	}
	return false, nil
}

// forget forgets what the engine has told, but for what was signed.
func (d *database) forget() {
	d.mu.Lock()
	d.view.forget()
	d.mu.Unlock()
	d.unknown()
}

// unknown has the node look anew at what is live.
func (d *database) unknown() {
	d.mu.Lock()
	d.doubt()
	d.mu.Unlock()
	d.change(func(s *records.Database) { s.Have, s.Healthy, s.Phase = 0, 0, records.Looking })
	d.rouse()
}
