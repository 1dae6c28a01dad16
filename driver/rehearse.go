package driver

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dbpath"
	"hotswap/internal/door"
	"hotswap/internal/dsn"
	"hotswap/internal/inside"
	"hotswap/internal/session"
)

// kinds lists the special kinds: those of the pools, and those of the connections with
// their session settings.
func (d *Database) kinds() (all []kind) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known := map[string]bool{}
	add := func(k kind) {
		if name := k.String(); k.special() && !known[name] {
			known[name] = true
			all = append(all, k)
		}
	}
	for k := range d.pools {
		add(*k)
	}
	for c := range d.conns {
		k := kind{drv: c.drv, dsn: c.dsn}
		if settings := c.published.Load(); settings != nil {
			k.settings = *settings
		}
		add(k)
	}
	return all
}

// NeedsRehearsal reports whether the program's connections may fail to open where a
// plain one does not.
func (d insider) NeedsRehearsal() bool { return len(d.kinds()) > 0 }

// Rehearse opens the file as the program's connections will.
func (d insider) Rehearse(ctx context.Context, file string, readOnly bool) error {
	r := &rehearsal{d: d.Database, ctx: ctx, file: file, readOnly: readOnly}
	r.at.Store("opening the file")
	done := make(chan error, 1)
	go func() {
		err := errGoexit // unless open returns
		defer func() {
			if ctx.Err() != nil {
				removeOrphanedSidecars(file)
			}
			if err == errGoexit {
				what, _ := r.at.Load().(string)
				err = &inside.RehearsalError{What: what, Err: errGoexit}
			}
			done <- err
		}()
		for _, k := range d.kinds() {
			opener, opened := &ownConn{}, error(nil)
			door.As(opener, func() { opened = r.open(opener, &k) })
			if opened != nil {
				err = opened
				return
			}
		}
		err = nil
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		what, _ := r.at.Load().(string)
		return &inside.RehearsalError{What: what, Err: fmt.Errorf("did not return: %w", ctx.Err())}
	}
}

type rehearsal struct {
	d        *Database
	ctx      context.Context
	file     string
	readOnly bool
	at       atomic.Value // the current step
}

// step runs a step, turning a panic into an error. The failed step is what was last
// stored in at, by fn too.
func (r *rehearsal) step(what string, fn func() error) (err error) {
	r.at.Store(what)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panicked: %v", p)
		}
		if err != nil {
			err = &inside.RehearsalError{What: r.at.Load().(string), Err: err}
		}
	}()
	if err := r.ctx.Err(); err != nil {
		return err
	}
	return fn()
}

func (r *rehearsal) open(opener *ownConn, k *kind) error {
	var inner *sqlite3.SQLiteConn
	sqlite := k.drv.sqlite
	if hook := sqlite.ConnectHook; hook != nil {
		sqlite.ConnectHook = func(c *sqlite3.SQLiteConn) error {
			r.at.Store("the connect hook")
			if err := r.ctx.Err(); err != nil {
				return err
			}
			return hook(c)
		}
	}
	err := r.step("opening the file", func() (err error) {
		inner, err = openSQLite(opener, sqlite, r.name(k.dsn))
		return err
	})
	if err != nil {
		return err
	}
	defer closeSQLite(opener, inner)
	for _, o := range k.settings {
		if err := r.step(o.What, func() error { return r.replay(inner, o) }); err != nil {
			return err
		}
	}
	return r.step("reading the file", func() error {
		rows, err := inner.Query("SELECT 1 FROM main.sqlite_master LIMIT 1", nil)
		if err == nil {
			err = rows.Close()
		}
		return err
	})
}

func (r *rehearsal) name(dsn *dsn.Name) string {
	name := dsn.At(r.file).ForSQLite()
	if !r.readOnly {
		return name
	}
	params := []string{"mode=ro", "immutable=1"}
	if i := strings.IndexByte(name, '?'); i >= 1 {
		for param := range strings.SplitSeq(name[i+1:], "&") {
			key, _, _ := strings.Cut(param, "=")
			switch key {
			case "mode", "immutable", "nolock", "cache", "vfs", "_journal", "_journal_mode", "_auto_vacuum", "_vacuum", "_locking", "_locking_mode":
				// SQLite's own, or what would write
			default:
				params = append(params, param)
			}
		}
	}
	return dbpath.URI(r.file, params...)
}

func (r *rehearsal) replay(inner *sqlite3.SQLiteConn, o session.Setting) error {
	o = o.Followed(isManaged)
	if o.File != "" {
		switch other, ok := managed(o.File); {
		case ok && other == r.d:
			name := r.file
			if r.readOnly {
				name = dbpath.URI(r.file, "mode=ro", "immutable=1")
			}
			o = o.InPlaceOf(name)
		case ok:
			return r.standIn(inner, o, other)
		}
	}
	return o.Replay(inner)
}

// standIn attaches an empty in-memory database in place of a managed one.
func (r *rehearsal) standIn(inner *sqlite3.SQLiteConn, o session.Setting, other *Database) error {
	if _, err := os.Stat(o.File); err != nil {
		return err
	}
	pool, err := sql.Open(Name, dbpath.URI(other.Path(), "mode=ro"))
	if err != nil {
		return err
	}
	defer pool.Close()
	var theirs string
	if err := pool.QueryRowContext(r.ctx, "PRAGMA encoding").Scan(&theirs); err != nil {
		return err
	}
	ours, ok := session.Pragma(inner, "main.encoding")
	if !ok {
		return fmt.Errorf("can't determine the text encoding of %s", r.file)
	}
	if ours != theirs {
		return fmt.Errorf("attached databases must use the same text encoding as main database (%s and %s)", theirs, ours)
	}
	return o.InPlaceOf(":memory:").Replay(inner)
}
