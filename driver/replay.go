package driver

import (
	"errors"
	"fmt"
	"io/fs"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/lognote"
	"hotswap/internal/session"
)

// replay applies the session settings of the closed connection to a new one.
func (c *conn) replay(inner *sqlite3.SQLiteConn) error {
	for _, o := range c.session.Settings() {
		o = o.Followed(isManaged)
		err := o.Replay(inner)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist) && isManaged(o.File): // the next one may be on its way
			return &refusedError{paths: []string{o.File}, err: replayFailed(o, err)}
		case c.db != nil && c.db.forgives.Load() && (forgivable(err) || isBusy(err) && !c.mayRetry()):
			c.session.Remove(o.Key)
			if schema, ok := o.Attaches(); ok {
				c.session.Forget(schema)
			}
			c.publish()
			lognote.Send(c.db.warn().Str(fieldQuery, o.What).Err(err), "a setting could not be replayed on a reopened connection: the connection goes on without it")
		case !c.session.Has(o.Key): // forgotten with its schema
		case isBusy(err):
			return &lockedError{replayFailed(o, err)}
		default:
			return replayFailed(o, err)
		}
	}
	return nil
}

// lockedError is of a replay that met a lock: that of an attached database, since
// opening the connection would have met the main one's. The call that needs the
// connection may have nothing to do with the attached one, and would not have met its
// lock but for the swap: it waits instead of failing.
type lockedError struct{ err error }

func (e *lockedError) Error() string { return e.err.Error() }
func (e *lockedError) Unwrap() error { return e.err }

func replayFailed(o session.Setting, err error) error {
	return fmt.Errorf("hotswap: could not replay a setting on a reopened connection: %s: %w", o.What, err)
}

// forgivable reports whether err will not pass by itself.
func forgivable(err error) bool {
	var se sqlite3.Error
	return errors.Is(err, fs.ErrNotExist) ||
		errors.As(err, &se) && (se.Code == sqlite3.ErrError || se.Code == sqlite3.ErrCantOpen || se.Code == sqlite3.ErrNotADB || se.Code == sqlite3.ErrCorrupt)
}

// losing lists the schemas whose content is lost when c, which is about to be closed,
// closes. The caller owns c.
func (c *conn) losing() []string {
	if c.inner == nil {
		return nil
	}
	return c.session.Losing(c.inner)
}
