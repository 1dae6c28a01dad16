package fleet

import (
	"context"
	"errors"

	"hotswap/internal/records"
)

// said is what a node has written down last of a database, and with which revision. An engine
// that has an older one is not the engine that took it: it was emptied, or is from an older copy.
type said struct {
	records.Having
	at records.Entry
}

// lost reports whether what there is shows that an engine has not what was said.
func (s said) lost(is *records.Having, at records.Entry) bool {
	if s.at.Revision == 0 {
		return false
	}
	return at.Revision < s.at.Revision || at.Revision == s.at.Revision && (is == nil || *is != s.Having)
}

// writeDown keeps what was swapped in, for after a restart. It is tried again before the next
// task: without it, a version that is still published is recognised all the same.
func (d *database) writeDown(ctx context.Context, h records.Having) {
	d.unsaid = &h
	if err := d.say(ctx, h); err != nil {
		d.log.Debug().Err(err).Msg("what is live was not written down yet")
		return
	}
	d.unsaid = nil
}

// say writes it down, over what was said last. If there is something else, be it by another
// program of this name, or because an answer was lost, it is written over that; but not in an
// engine that is another one, which the node is about to find out.
func (d *database) say(ctx context.Context, h records.Having) error {
	d.saying.Lock()
	defer d.saying.Unlock()
	plane, name := d.node.planeNow(), d.node.cfg.Node
	at, err := plane.PutHaving(ctx, name, d.channel, h, d.said.at)
	if errors.Is(err, records.ErrChanged) {
		is, over, failed := plane.GetHaving(ctx, name, d.channel)
		switch {
		case failed != nil:
			return failed
		case d.said.lost(is, over):
			return err
		}
		at, err = plane.PutHaving(ctx, name, d.channel, h, over)
	}
	if err == nil {
		d.said = said{h, at}
	}
	return err
}

// lastSaid is what the node has written down last, if that is of this engine. One that was
// emptied, or is from an older copy, may have been told of a version of the engine before,
// which was on its way; its number is another version's now, or will be.
func (d *database) lastSaid(ctx context.Context) (*records.Having, error) {
	last, err := d.readSaid(ctx)
	if last == nil || err != nil {
		return nil, err
	}
	if ours, err := d.ours(ctx, *last); !ours || err != nil {
		return nil, err
	}
	return last, nil
}

// readSaid reads what was written down last; nil if there is nothing, or something older.
func (d *database) readSaid(ctx context.Context) (*records.Having, error) {
	d.saying.Lock()
	defer d.saying.Unlock()
	last, at, err := d.node.planeNow().GetHaving(ctx, d.node.cfg.Node, d.channel)
	if err != nil || last == nil || d.said.lost(last, at) {
		return nil, err
	}
	d.said = said{*last, at}
	return last, nil
}

// saidIsLost reports whether the engine has not what was written down.
func (d *database) saidIsLost(ctx context.Context) (bool, error) {
	d.saying.Lock()
	defer d.saying.Unlock()
	if d.said.at.Revision == 0 {
		return false, nil
	}
	is, at, err := d.node.planeNow().GetHaving(ctx, d.node.cfg.Node, d.channel)
	return err == nil && d.said.lost(is, at), err
}

// forgetSaid forgets what an engine was told that is another one now.
func (d *database) forgetSaid() {
	d.saying.Lock()
	defer d.saying.Unlock()
	d.said = said{}
}
