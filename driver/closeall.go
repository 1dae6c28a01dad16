package driver

import (
	"context"
	"slices"
)

// closeAll closes the SQLite connections, all drained, one after another: if two closed
// at once, neither might be the last, which has to remove the WAL. It holds no lock
// meanwhile. It leaves so many open as keep says.
func (dr *drain) closeAll(keep int) int {
	d := dr.d
	var each, shared int
	if dr.scarce {
		each, shared = descriptorsOf(d.Path())
	}
	var closed []*conn
	for _, c := range d.connections() {
		if !dr.concerns(c) {
			continue
		}
		c.mu.Lock()
		if keep > 0 && c.inner != nil {
			keep--
			c.mu.Unlock()
			continue
		}
		if !c.closed {
			dr.frozen.lost = append(dr.frozen.lost, c.losing()...)
			c.recordDeferForeignKeys()
		}
		inner := c.detach()
		if !c.closed {
			w := c.state.load()
			c.state.mustSwap(w, w.with(stateFrozen))
		}
		byPool := c.closing // being closed at the same time
		c.mu.Unlock()
		if inner != nil {
			closed = append(closed, c)
			c.closeSQLite(inner)
			c.keepDescriptors(each)
		}
		if byPool != nil {
			<-byPool
		}
	}
	for _, c := range closed {
		c.keepDescriptors(each) // SQLite keeps some until a file's last lock is released
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(closed) > 0 {
		d.reserve.Fill(shared)
	}
	return len(closed)
}

// closeShared drains and closes the connections with a shared cache.
func (dr *drain) closeShared(ctx context.Context) error {
	dr.shared = true
	defer func() { dr.shared = false }()
	if !dr.anyConcerned() {
		return nil
	}
	others := dr.frozen.others // each of which does this for itself
	dr.frozen.others = nil
	err := dr.run(ctx)
	dr.frozen.others = others
	if err != nil {
		return err
	}
	dr.frozen.Connections = dr.killed + dr.closeAll(0)
	return nil
}

func (dr *drain) anyConcerned() bool {
	return slices.ContainsFunc(dr.d.connections(), dr.concerns)
}
