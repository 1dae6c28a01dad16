package swapper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/unix"
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

// clearSidecars proves that the live database's sidecars hold nothing, and
// removes them: a WAL that stayed would be replayed into the new file. After the
// last close of a database in WAL mode there are none, unless another process
// has it open, or ours may not write it.
func (t *target) clearSidecars(wal, readOnly bool) error {
	for _, suffix := range sqlitefile.Sidecars {
		name := t.path + suffix
		info, err := os.Lstat(name)
		if sqlitefile.Absent(err) {
			continue
		}
		if err != nil {
			return failed("look at "+name, err)
		}
		if !info.Mode().IsRegular() {
			return &failure{text: fmt.Sprintf("%s is not a regular file (it is %s)", name, sqlitefile.KindOf(info.Mode())), kinds: []error{ErrTarget},
				hint: "find out who put it there, and move it away"}
		}
		holds := info.Size() > 0
		switch suffix {
		case "-shm":
			// Only an index of the WAL, but somebody's; or of a connection of ours that
			// may not write the database, and so leaves it behind.
			holds = wal && !readOnly
		case "-journal":
			if holds {
				if holds, err = hotJournal(name); err != nil {
					return failed("read "+name, err)
				}
			}
		}
		switch {
		case holds && t.empty():
			return &failure{text: fmt.Sprintf("%s is left over from a database that is gone, and would be replayed into the new one", name),
				kinds: []error{ErrTarget}, hint: "move it away and try again"}
		case holds:
			return &failure{text: name + " still has content: another process has the database open, or the disk refused it", kinds: []error{ErrBusy},
				hint: "stop the other process, or check the disk, and try again", inPlace: true}
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return failed("remove "+name, err)
		}
	}
	return nil
}

// hotJournal reports whether a journal may have to be rolled back: its header
// is zeroed when a transaction ends in journal mode PERSIST
// (https://www.sqlite.org/fileformat2.html#the_rollback_journal).
func hotJournal(name string) (bool, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [8]byte
	if _, err := f.Read(head[:]); err != nil {
		return false, err
	}
	return head != [8]byte{}, nil
}
