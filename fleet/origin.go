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
	was := n.origin
	now, err := n.planeNow().Origin(ctx)
	if err != nil {
		return err
	}
	if !was.Made.IsZero() && now.Made.Equal(was.Made) && now.Last < n.seen() {
		// It may be a server of the cluster that is cut off, and does not know it yet.
		for _, d := range n.databases {
			d.unknown()
		}
		sleep(ctx, n.cfg.doubt)
		if now, err = n.planeNow().Origin(ctx); err != nil {
			return err
		}
	}
	n.origin = now
	if was.Made.IsZero() || now.Made.Equal(was.Made) && now.Last >= n.seen() {
		return nil
	}
	n.log.Warn().Msg("the engine is another one, or was restored from an older copy: the node finds out anew what it has")
	n.planeNow().Forget()
	for _, d := range n.databases {
		d.forget()
	}
	return nil
}

// seen is the newest revision that the node has been told of.
func (n *Node) seen() (last uint64) {
	for _, d := range n.databases {
		d.mu.Lock()
		for _, revision := range d.view.seen {
			last = max(last, revision)
		}
		d.mu.Unlock()
	}
	return last
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
