package driver

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/lognote"
)

// opened returns the channel that is closed when the gate opens next.
func (c *conn) opened() <-chan struct{} {
	if c.db == nil {
		return nil
	}
	c.db.mu.Lock()
	defer c.db.mu.Unlock()
	return c.db.reopened
}

func (d *Database) await(ctx context.Context, opened <-chan struct{}) error {
	d.waiting.Add(1)
	defer d.waiting.Add(-1)
	select {
	case <-opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait is a call's wait at the gate, as logged: to the driver's own logger, else to
// that of the freeze, which is over when the call resumes.
type wait struct {
	log   *zerolog.Logger // nil for none
	path  string
	query string
	since time.Time
}

func (d *Database) beginWait(c *conn, query string) *wait {
	w := &wait{c.drv.log, d.Path(), query, time.Now()}
	if w.log == nil {
		w.log = d.gateLog.Load()
	}
	if w.log != nil {
		lognote.Send(w.log.Info().Str(fieldDatabase, w.path).Str(fieldQuery, query), "call queued")
	}
	return w
}

// end logs that the call resumed; nothing for a call that never waited.
func (w *wait) end() {
	if w != nil && w.log != nil {
		lognote.Send(w.log.Info().Str(fieldDatabase, w.path).Str(fieldQuery, w.query).Dur("waited", time.Since(w.since)), "call resumed")
	}
}

// add makes c one of the connections once the gate is open.
func (d *Database) add(ctx context.Context, c *conn) error {
	var waited *wait
	for {
		d.mu.Lock()
		if f := d.filter.Load(); !d.shut && !(f != nil && f.shared && c.dsn.Shared) {
			if f != nil && f.stopsAny() {
				c.state.mark()
			}
			d.added++
			c.number = d.added
			d.conns[c] = struct{}{}
			if len(d.conns) > 1 {
				d.several.Store(true)
			}
			d.mu.Unlock()
			waited.end()
			d.keep()
			return nil
		}
		reopened := d.reopened
		d.mu.Unlock()
		if d.refusing() {
			return ErrReplaced
		}
		if waited == nil {
			waited = d.beginWait(c, "connect")
		}
		if err := d.await(ctx, reopened); err != nil {
			return err
		}
	}
}
