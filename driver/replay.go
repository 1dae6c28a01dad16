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

func replayFailed(o session.Setting, err error) error {
	return fmt.Errorf("hotswap: could not replay a setting on a reopened connection: %s: %w", o.What, err)
}

// forgivable reports whether err will not pass by itself.
func forgivable(err error) bool {
	var se sqlite3.Error
	return errors.Is(err, fs.ErrNotExist) ||
		errors.As(err, &se) && (se.Code == sqlite3.ErrError || se.Code == sqlite3.ErrCantOpen || se.Code == sqlite3.ErrNotADB || se.Code == sqlite3.ErrCorrupt)
}
