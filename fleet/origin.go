package fleet

import (
	"context"
	"errors"

	"hotswap/internal/engine"
	"hotswap/internal/records"
	"hotswap/internal/repository"
)

// recognise finds out whether the engine is the one that it was. One that was emptied, or
// restored from an older copy of its directory, numbers revisions and versions anew: what the
// node has seen of the one before would have it ignore new orders, and take one version for
// another of the same number. However far it has counted by now, it has not published what
// the node has under that number.
func (n *Node) recognise(ctx context.Context) error {
	made, err := n.planeNow().Made(ctx)
	if err != nil {
		return err
	}
	another := !n.made.IsZero() && !made.Equal(n.made)
	if !another {
		if another, err = n.doubted(ctx); err != nil {
			return err
		}
	}
	n.made, n.had = made, nil
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

// doubted reports whether the engine is another one although its streams are as old.
func (n *Node) doubted(ctx context.Context) (another bool, err error) {
	if n.had == nil {
		had, doubt := map[*database]records.Having{}, false
		for _, d := range n.databases {
			s := d.current()
			had[d] = records.Having{Version: s.Have, Tag: s.Tag}
			ours, err := d.ours(ctx, had[d])
			if err != nil {
				return false, err
			}
			behind := false
			if n.doubt { // what is on its way may be older than what was just asked for, too
				if behind, err = d.behind(ctx); err != nil {
					return false, err
				}
			}
			doubt = doubt || !ours || behind
		}
		if !doubt {
			return false, nil
		}
		n.had = had
		for _, d := range n.databases {
			d.pause()
			d.unknown()
		}
	}
	// It may be a server of the cluster that is cut off, and does not know it yet.
	sleep(ctx, n.cfg.doubt)
	for d, having := range n.had {
		behind, err := d.behind(ctx)
		if err != nil {
			return false, err
		}
		ours, err := d.ours(ctx, having)
		if err != nil {
			return false, err
		}
		another = another || behind || !ours
	}
	return another, nil
}

// pause has the node do nothing for the database until the engine has told everything again.
func (d *database) pause() {
	d.mu.Lock()
	d.view.caught = false
	d.mu.Unlock()
}

// ours reports whether the engine can have given the node a version: it is published there with
// that content, or was removed since, which leaves a newer one, and what the node has written down.
func (d *database) ours(ctx context.Context, h records.Having) (bool, error) {
	if h.Version == 0 {
		return true, nil
	}
	store := d.node.storeNow()
	p, err := store.Manifest(ctx, d.version(h.Version).internal())
	if err == nil {
		return p.Tag == h.Tag, nil
	}
	var all []repository.Published
	if errors.Is(err, repository.ErrNotPublished) {
		if all, err = store.Versions(ctx, d.channel); err == nil {
			if len(all) == 0 || all[len(all)-1].Number < h.Version {
				return false, nil
			}
			lost, err := d.saidIsLost(ctx)
			return !lost, err
		}
	}
	if _, ok := errors.AsType[*engine.Error](err); ok {
		return false, err // it was not found out
	}
	return true, nil // there is something that can't be read, or is not trusted
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
	d.lost, d.lostUnder = true, ""
	d.mu.Unlock()
	d.forgetSaid()
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
