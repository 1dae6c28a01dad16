package driver

import (
	"context"
	"errors"
	"slices"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/inside"
)

// Once the file is gone from its path, or another one is there that the connections can't
// move to, nothing can open it any more: what it holds is reached through those that have
// it open. One of them that is idle is lent to whoever is to copy it, and meanwhile the
// calls that begin on it wait.

// lendEvery is how often it is looked again whether a connection is idle.
const lendEvery = 5 * time.Millisecond

// Borrow calls use with an idle connection of the program's.
func (d insider) Borrow(ctx context.Context, patience time.Duration, use inside.Use) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	for began := time.Now(); ; {
		err := d.lend(use, false)
		if err != errInUse && !(err == inside.ErrNoneOpen && d.draining.Load()) { // a freeze has closed them all
			return err
		}
		select {
		case <-time.After(lendEvery):
		case <-late.C:
			return &HeldError{Path: d.Path(), Waited: time.Since(began), Attempts: 1, Holders: d.Holders()}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var errInUse = errors.New("all connections that have the file open are in use")

// lend calls use with one connection after another that is idle, until one was used. The
// caller holds no lock, and is the freeze if the connections are drained.
func (d *Database) lend(use inside.Use, drained bool) error {
	why := inside.ErrNoneOpen
	for _, c := range d.connections() {
		if !c.hasOpen(d.Path()) || c.dsn.Unlocked { // which does not look into the WAL
			continue
		}
		offered, used, err := c.lend(use, drained)
		switch {
		case used:
			return err
		case !offered:
			why = errInUse
		case why == inside.ErrNoneOpen:
			why = inside.ErrUnread
		}
	}
	return why
}

// hasOpen reports whether c has the file open that is known by the path.
func (c *conn) hasOpen(path string) bool {
	return slices.ContainsFunc(door.Of(c), func(h door.Handle) bool { return h.Path == path })
}

// lend claims c as a reconnect does. A connection that a freeze has drained is that
// freeze's; while calls are refused there is none.
func (c *conn) lend(use inside.Use, drained bool) (offered, used bool, err error) {
	c.mu.Lock()
	w := c.state.load()
	idle := !c.closed && c.reopening == nil && w.state() == stateIdle && c.claim()
	if idle && (w.wanted() && !drained && !c.db.refusing() || c.inner == nil || c.inTransaction()) {
		c.unclaim(stateIdle)
		idle = false
	}
	if idle {
		c.reopening = make(chan struct{})
	}
	c.mu.Unlock()
	if !idle {
		return false, false, nil
	}
	defer func() {
		c.mu.Lock()
		c.unclaim(stateIdle)
		close(c.reopening)
		c.reopening = nil
		c.mu.Unlock()
		c.db.signal()
	}()
	used, err = use(c.inner)
	return true, used, err
}

// Missing says which file the database has, or had, if nothing is at its path.
func (d insider) Missing() (file fileid.ID, open bool) {
	return d.missing(), door.File(d.Path()) != fileid.None
}

// Whole reports whether the file at the path is one that connections could move to.
func (d insider) Whole() bool {
	if d.refusesReplaced() {
		return false
	}
	path := d.newPath()
	ready, _, soon := d.ready(path, fileid.Of(path))
	return ready || soon
}
