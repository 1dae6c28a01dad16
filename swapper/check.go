package swapper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"hotswap/driver"
	"hotswap/internal/sqlitefile"
)

// unopenable is what a source is that SQLite takes for damaged, or for no database,
// when a connection is opened on it: that reads its header and its schema.
const unopenable = "the source is corrupt"

// prepare lets the program change the stage, in rollback-journal mode so that
// all it wrote is in the one file at the end.
func (s *stage) prepare(ctx context.Context, db *driver.Database, fn func(context.Context, *sql.DB) error) error {
	pool := db.OpenFile(s.path, true, "mode=rw")
	defer pool.Close()
	if err := fn(ctx, pool); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &failure{text: "the program's Prepare refused the source", cause: err, kinds: []error{ErrBadDatabase}}
	}
	if err := nothingOpen(pool, "Prepare"); err != nil {
		return err
	}
	var mode string
	if err := pool.QueryRowContext(ctx, "PRAGMA main.journal_mode=DELETE").Scan(&mode); err != nil {
		return badIfCorrupt(ctx, "leave WAL mode after Prepare", unopenable, err)
	}
	if mode != "delete" {
		return failed("leave WAL mode after Prepare", fmt.Errorf("journal mode is %q", mode))
	}
	if err := pool.Close(); err != nil {
		return failed("close the stage after Prepare", err)
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return failed("look at the stage after Prepare", err)
	}
	s.size = info.Size()
	return s.assertAlone()
}

// assertAlone proves that the stage has no sidecars: what it holds is all there is.
func (s *stage) assertAlone() error {
	for _, suffix := range sqlitefile.Sidecars {
		info, err := os.Lstat(s.path + suffix)
		switch {
		case err == nil:
			return failed("close the stage", fmt.Errorf("%s is left with %d bytes", s.path+suffix, info.Size()))
		case !errors.Is(err, os.ErrNotExist):
			return failed("look for what SQLite left beside the stage", err)
		}
	}
	return nil
}

// openReadOnly opens the stage so that nothing appears beside it.
func (s *stage) openReadOnly(ctx context.Context, db *driver.Database) (*sql.DB, error) {
	params := []string{"mode=ro", "immutable=1"}
	// With the program's own functions and collations if its hook runs on a
	// read-only file, without them if not.
	pool := db.OpenFile(s.path, true, params...)
	if err := pingHook(ctx, pool); err == nil {
		return pool, nil
	}
	pool.Close()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	pool = db.OpenFile(s.path, false, params...)
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, badIfCorrupt(ctx, "open the stage", unopenable, err)
	}
	return pool, nil
}

// hookPatience is how long a connect hook may take on a stage.
const hookPatience = 30 * time.Second

// pingHook opens the pool's connection, which runs the program's connect hook.
func pingHook(ctx context.Context, pool *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, hookPatience)
	defer cancel()
	return pool.PingContext(ctx)
}

// readQuickly is how the check reads a stage: mapped, which takes two thirds of
// the time or less, if it should still be in memory, as it was written. What must
// come from the disk is not mapped: a page that the disk can't read would be a
// SIGBUS rather than an error, and end the program
// (https://www.sqlite.org/mmap.html).
func (s *stage) readQuickly() (pragma string) {
	if s.size <= memory()/4 {
		return fmt.Sprintf("PRAGMA mmap_size=%d", s.size)
	}
	return "PRAGMA cache_size=-65536" // KiB
}

// rehearse opens the stage as the program will open the live database, and
// closes it again: what SQLite or the system has against that file, with that
// owner and mode and beside it a WAL, comes to light before any call waits. It
// takes as long as the schema is large. With the program's hooks that was done before:
// see push.rehearse.
func (s *stage) rehearse(ctx context.Context, db *driver.Database) error {
	pool := db.OpenFile(s.path, false, "mode=rw")
	defer pool.Close()
	var version int
	err := pool.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&version)
	if err = errors.Join(err, pool.Close()); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return failed("open the new database as the program will", err)
	}
	return s.removeUnused()
}

// removeUnused removes what a connection leaves that may not write the stage,
// which has the live one's mode: an empty WAL, and the index of it.
func (s *stage) removeUnused() error {
	if s.taken.perm&0o200 != 0 {
		return nil
	}
	info, err := os.Lstat(s.path + "-wal")
	if err != nil || info.Size() > 0 {
		return ignoreNotExist(err) // assertAlone tells of it
	}
	return errors.Join(ignoreNotExist(os.Remove(s.path+"-shm")), ignoreNotExist(os.Remove(s.path+"-wal")))
}

// validate lets the program look at the stage.
func validate(ctx context.Context, pool *sql.DB, fn func(context.Context, *sql.DB) error) error {
	if err := fn(ctx, pool); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &failure{text: "the program's Validate refused the source", cause: err, kinds: []error{ErrBadDatabase}}
	}
	return nothingOpen(pool, "Validate")
}

// leftOpenGrace is how long what ends with a context, on another goroutine, may
// take to.
const leftOpenGrace = 100 * time.Millisecond

// nothingOpen refuses what the program's function left open of the pool: there is
// one connection in it, which the push needs next, or which would be carried over
// to the live path by the rename.
func nothingOpen(pool *sql.DB, function string) error {
	for began := time.Now(); pool.Stats().InUse > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > leftOpenGrace {
			return &failure{text: "the program's " + function + " left Rows, a transaction or a connection open", kinds: []error{ErrBadDatabase},
				hint: "close them before it returns"}
		}
	}
	return nil
}
