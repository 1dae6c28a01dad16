package swapper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// live is a push's own connection to the live database. It exists for moments only
// (push.visit, and with the gate closed), so that its locks are not in the way of the
// program's calls.
type live struct {
	pool *sql.DB
	wal  bool
}

// lockWait bounds how long a connection waits for another process's lock while
// calls wait at the gate, in milliseconds.
const lockWait = 250

// openLive opens the connection; wait is for SQLite's locks.
func openLive(ctx context.Context, db *driver.Database, wait time.Duration) (*live, error) {
	l := &live{pool: inside.Of(db).OpenOwn("mode=rw", fmt.Sprintf("_busy_timeout=%d", min(wait.Milliseconds(), math.MaxInt32)))}
	l.pool.SetMaxIdleConns(1)
	var mode string
	if err := l.pool.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		l.close()
		return nil, err
	}
	l.wal = mode == "wal"
	return l, nil
}

// readLive learns whether the live file is a database, and its journal mode.
func (p *push) readLive(ctx context.Context) (err error) {
	if p.target.empty() {
		return nil
	}
	err = p.visit(ctx, func(l *live) error { return nil })
	switch {
	case err == nil:
		p.readable = true
		return nil
	case unreadable(err):
		p.notRead(err) // check refuses it, unless SkipSchemaCheck is set
		return nil
	}
	return liveBusy("open the live database", err)
}

// liveBusy is failed for the use of the live database with the gate open, unless err
// already says what was being done.
func liveBusy(doing string, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	if !busyElsewhere(err) {
		return failed(doing, err)
	}
	return &failure{text: doing, cause: err, kinds: []error{ErrBusy},
		hint: "something has it locked (a long write, another process, or a connection with locking_mode=EXCLUSIVE): end that and try again"}
}

func (l *live) close() error {
	if l == nil {
		return nil
	}
	return l.pool.Close()
}

// checkpoint moves all of the WAL into the file and empties it.
func (l *live) checkpoint() error {
	var busy, log, done int
	// Not the push's context: to watch it takes longer than to move what was
	// written since shrink.
	ctx := context.Background()
	// A connection that has read nothing since it was opened would find no WAL
	// to checkpoint: https://www.sqlite.org/c3ref/wal_checkpoint_v2.html.
	if err := l.pool.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&busy); err != nil {
		return failed("read the live database", err)
	}
	err := l.pool.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done)
	if readOnlyFile(err) {
		return &failure{text: "checkpoint the live database: the content of its WAL can't be moved into a file that is read-only", cause: err,
			kinds: []error{ErrNotPermitted}, hint: "let the program's user write to it for the time of one push"}
	}
	if err != nil {
		return failed("checkpoint the live database", err)
	}
	if busy != 0 || log != done {
		return &failure{
			text:    fmt.Sprintf("checkpoint the live database: another process is using it (%d of %d WAL frames written back)", done, log),
			kinds:   []error{ErrBusy},
			hint:    "stop the other process from using it and try again, or push in place (--method=in-place)",
			inPlace: true,
		}
	}
	return nil
}

// readOnlyFile reports whether err says that the database may only be read.
func readOnlyFile(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && se.Code == sqlite3.ErrReadonly
}

// busyElsewhere reports whether err says that another has the database locked.
func busyElsewhere(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && (se.Code == sqlite3.ErrBusy || se.Code == sqlite3.ErrLocked)
}
