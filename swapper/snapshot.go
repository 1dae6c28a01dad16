package swapper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/dbpath"
	"hotswap/internal/inside"
	"hotswap/internal/snapshot"
	"hotswap/internal/sqlitefile"
)

// stepBytes is how much of the database one step of a backup copies. Between
// steps it can be cancelled, and tells its progress.
const stepBytes = 4 << 20

// reading runs fn within a read transaction of a connection of the driver's, which has
// begun: it waits at the gate like any call, and a swap waits for it.
//
// With a rollback journal nobody can commit meanwhile: calls that find the database locked
// wait for the end, whatever their busy timeout.
func (p *pull) reading(ctx context.Context, fn func(*sqlite3.SQLiteConn) error) error {
	ended := inside.Of(p.db).Visit()
	defer ended()
	began := time.Now()
	pool := inside.Of(p.db).OpenPlain("mode=rw", fmt.Sprintf("_busy_timeout=%d", exclusiveLook.Milliseconds()))
	defer pool.Close()
	var conn *sql.Conn
	err := patiently(ctx, p.db, lockPatience, func(time.Duration) (err error) {
		conn, err = pool.Conn(ctx)
		return err
	})
	if err != nil {
		return p.readFailed(ctx, "open the database", err, time.Since(began))
	}
	defer conn.Close()
	err = driver.Raw(conn, func(src *sqlite3.SQLiteConn) (err error) {
		if _, err := src.Exec(setBusyTimeout(lockPatience)+"; BEGIN", nil); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, endRead(src)) }()
		if _, err := queryInt(src, "SELECT count(*) FROM sqlite_schema"); err != nil {
			return err // the read that begins the transaction's snapshot
		}
		if mode, err := queryText(src, "PRAGMA main.journal_mode"); err != nil {
			return err
		} else if mode == "wal" {
			ended()
		}
		return fn(src)
	})
	if err != nil {
		return p.readFailed(ctx, "take the snapshot", err, time.Since(began))
	}
	return nil
}

// snapshot copies the database into the stage: beneath SQLite, or where that can't be
// by SQLite's backup API.
func (p *pull) snapshot(ctx context.Context, s *stage, size int64) error {
	err := p.reading(ctx, func(src *sqlite3.SQLiteConn) error {
		err := p.copyBeneath(ctx, src, snapshot.File(s.file))
		if !errors.Is(err, snapshot.ErrUnable) {
			return err
		}
		if err := s.file.Truncate(0); err != nil {
			return err
		}
		if err := s.reserve(0, size); err != nil {
			return err
		}
		return s.copyFrom(ctx, src, p.events)
	})
	if err != nil {
		return err
	}
	if err := s.measure(); err != nil {
		return err
	}
	return s.assertAlone()
}

// measure sets the size of what was copied into the stage: a connection with a shared cache
// may have committed since the copy began.
func (s *stage) measure() error {
	info, err := s.file.Stat()
	if err != nil {
		return failed("inspect the snapshot", err)
	}
	s.size = info.Size()
	return nil
}

// endRead ends a read transaction, unless an error has.
func endRead(c *sqlite3.SQLiteConn) error {
	if c.AutoCommit() {
		return nil
	}
	_, err := c.Exec("COMMIT", nil)
	return err
}

// copyBeneath copies the database of src, which has a read transaction open, to dst.
func (p *pull) copyBeneath(ctx context.Context, src *sqlite3.SQLiteConn, dst snapshot.Dest) error {
	s, err := snapshot.Of(src, p.db.Path())
	if err != nil {
		return err
	}
	return s.CopyTo(ctx, dst, p.copied(s.Size()))
}

// copied tells how much is copied.
func (p *pull) copied(total int64) func(int64) {
	return func(done int64) {
		p.events.progress(StepCopying, fmt.Sprintf("copied %d of %d bytes", done, total), done, total)
	}
}

// readFailed is snapshotFailed, after a wait.
func (p *pull) readFailed(ctx context.Context, doing string, err error, waited time.Duration) error {
	if ctx.Err() == nil && busyElsewhere(err) {
		if own := p.locked(ctx, err, waited); own != nil {
			return own
		}
	}
	return snapshotFailed(ctx, doing, err)
}

// snapshotFailed sorts an error of reading the live database, which may be
// locked, or damaged.
func snapshotFailed(ctx context.Context, doing string, err error) error {
	if ctx.Err() == nil && busyElsewhere(err) {
		return liveBusy(doing, err)
	}
	return badIfCorrupt(ctx, doing, "the live database is corrupt", err)
}

// copyFrom copies the database of src into the stage by SQLite's backup API. The read
// transaction that src has open makes every step copy from one snapshot: without it,
// each write of another connection would start the copy over.
func (s *stage) copyFrom(ctx context.Context, src *sqlite3.SQLiteConn, events *events) (err error) {
	pageSize, err := queryInt(src, "PRAGMA page_size")
	if err != nil {
		return err
	}
	opened, err := (&sqlite3.SQLiteDriver{}).Open(dbpath.URI(s.path, "mode=rw", "_journal=OFF", "_sync=OFF", "_locking=EXCLUSIVE"))
	if err != nil {
		return err
	}
	dst := opened.(*sqlite3.SQLiteConn)
	defer func() { err = errors.Join(err, dst.Close()) }()
	return sqlitefile.Backup(ctx, dst, src, max(1, stepBytes/int(pageSize)), func(done, total int64) {
		done, total = done*pageSize, total*pageSize
		events.progress(StepCopying, fmt.Sprintf("copied %d of %d bytes", done, total), done, total)
	})
}

// lockPatience is how long a pull waits for another's lock.
const lockPatience = 10 * time.Second
