package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dbpath"
	"hotswap/internal/sqlitefile"
)

// sourceBusyTimeout is how long to wait for a program that writes SRC.
const sourceBusyTimeout = 5 * time.Second

// backupPages is how many pages are copied between two checks of the context.
const backupPages = 4096

// readLocked reads the file itself, under a read lock of SQLite's. Where
// SQLite can't take one, since the file is damaged or its directory can't be
// written, the file is compared with itself at the end instead.
func (s *source) readLocked(ctx context.Context, file *os.File, wal bool, out *output) error {
	// To read a WAL database, SQLite makes a -wal and a -shm, and only a
	// connection that may write removes them.
	mode := "ro"
	if wal {
		mode = "rw"
	}
	before, err := file.Stat()
	if err != nil {
		return fileFailure(err)
	}
	s.size = before.Size()
	conn, unlock, err := openReading(ctx, file.Name(), mode)
	switch {
	case isCode(err, sqlite3.ErrBusy):
		return failf(exitTryAgain, "%s is being written by another program (waited %s)", s.name, sourceBusyTimeout).
			withHint("try again when that is done")
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		s.check = func() error { return s.unchangedSince(file, before) }
		return nil
	}
	s.closers = append(s.closers, unlock)
	// A writer may have come between the first check and the lock.
	sidecar, err := pendingSidecar(file.Name())
	if err != nil {
		return fileFailure(err)
	}
	if sidecar != "" {
		return s.backUp(ctx, conn, sidecar, out)
	}
	now, err := file.Stat()
	if err != nil {
		return fileFailure(err)
	}
	s.size = now.Size()
	s.Reader, s.file = io.LimitReader(file, s.size), file
	return nil
}

// unchangedSince notices a file that was written while it was read.
func (s *source) unchangedSince(file *os.File, before os.FileInfo) error {
	now, err := file.Stat()
	if err != nil {
		return fileFailure(err)
	}
	sidecar, err := pendingSidecar(file.Name())
	if err != nil {
		return fileFailure(err)
	}
	if now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) || sidecar != "" {
		return failf(exitTryAgain, "%s changed while it was read", s.name).
			withHint("stop the program that writes it, or run the command as a user who may lock it")
	}
	return nil
}

// readThroughSQLite copies a database that is more than its file.
func (s *source) readThroughSQLite(ctx context.Context, file *os.File, sidecar string, out *output) error {
	// A hot journal has to be rolled back, which only a writer may.
	mode := "ro"
	if sidecar == "-journal" {
		mode = "rw"
	}
	conn, unlock, err := openReading(ctx, file.Name(), mode)
	if err != nil {
		return s.sqliteFailure(ctx, err)
	}
	s.closers = append(s.closers, unlock)
	return s.backUp(ctx, conn, sidecar, out)
}

// backUp makes a temporary copy of what conn's transaction sees, and reads that.
func (s *source) backUp(ctx context.Context, conn *sql.Conn, sidecar string, out *output) error {
	out.say("%s has a %s: reading it through SQLite", s.name, sidecar)
	temp, err := os.CreateTemp("", "hotswap-source-*") // $TMPDIR
	if err != nil {
		return tempFailure(err)
	}
	s.closers = append(s.closers, func() {
		temp.Close()
		os.Remove(temp.Name())
	})
	if err := backup(ctx, conn, temp.Name()); isCode(err, sqlite3.ErrFull) {
		return tempFailure(err)
	} else if err != nil {
		return s.sqliteFailure(ctx, err)
	}
	info, err := temp.Stat()
	if err != nil {
		return fileFailure(err)
	}
	// It needs no name any more; so not even a kill leaves it behind.
	if err := os.Remove(temp.Name()); err != nil {
		return fileFailure(err)
	}
	s.size, s.Reader, s.file, s.again = info.Size(), temp, temp, temp
	return nil
}

func (s *source) sqliteFailure(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isCode(err, sqlite3.ErrBusy):
		return failf(exitTryAgain, "read %s through SQLite: %w", s.name, err).
			withHint("another program is writing it: try again when that is done")
	case isCode(err, sqlite3.ErrNotADB), isCode(err, sqlite3.ErrCorrupt):
		return failf(exitBadDatabase, "read %s through SQLite: %w", s.name, err)
	case isCode(err, sqlite3.ErrReadonly), isCode(err, sqlite3.ErrCantOpen), isCode(err, sqlite3.ErrPerm):
		return failf(exitNotAllowed, "read %s through SQLite: %w", s.name, err).
			withHint("to read a database with a -wal or a journal, SQLite must be able to write to its directory")
	default:
		return failf(exitFailed, "read %s through SQLite: %w", s.name, err)
	}
}

// openReading opens the database at path and begins to read it: until unlock,
// what the connection sees does not change.
func openReading(ctx context.Context, path, mode string) (_ *sql.Conn, unlock func(), err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	db, err := sql.Open("sqlite3", dbpath.URI(abs, "mode="+mode,
		fmt.Sprintf("_busy_timeout=%d", sourceBusyTimeout.Milliseconds())))
	if err != nil {
		return nil, nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	unlock = func() {
		conn.ExecContext(context.Background(), "ROLLBACK") // it only read
		conn.Close()
		db.Close()
	}
	if _, err = conn.ExecContext(ctx, "BEGIN"); err == nil {
		var n int
		err = conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n)
	}
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return conn, unlock, nil
}

// backup copies the database that conn reads into the empty file at path.
func backup(ctx context.Context, conn *sql.Conn, path string) (err error) {
	dest, err := sql.Open("sqlite3", dbpath.URI(path, "mode=rw"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dest.Close()) }()
	destConn, err := dest.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, destConn.Close()) }()
	return destConn.Raw(func(to any) error {
		return conn.Raw(func(from any) error {
			return sqlitefile.Backup(ctx, to.(*sqlite3.SQLiteConn), from.(*sqlite3.SQLiteConn), backupPages, nil)
		})
	})
}

func isCode(err error, code sqlite3.ErrNo) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	return ok && e.Code == code
}
