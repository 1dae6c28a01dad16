package swapper

import (
	"context"
	"errors"
	"os"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dbpath"
	"hotswap/internal/pages"
	"hotswap/internal/snapshot"
)

// compare finds the pages in which the stage differs from the live database, which the
// write lock now keeps as it is: the others need not be written. It is nil if all are
// to be.
//
// In WAL mode it reads by a connection of its own, since that which has the lock is the
// backup's.
func (o *overwrite) compare(ctx context.Context) (*pages.Diff, error) {
	by := o.dst
	if o.push.wal {
		opened, err := (&sqlite3.SQLiteDriver{}).Open(dbpath.URI(o.target.path, "mode=ro"))
		if err != nil {
			return nil, nil
		}
		by = opened.(*sqlite3.SQLiteConn)
		defer by.Close()
	}
	diff, err := o.differs(ctx, by)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, nil // whatever it is, SQLite will meet it, too
	}
	return diff, nil
}

func (o *overwrite) differs(ctx context.Context, by *sqlite3.SQLiteConn) (diff *pages.Diff, err error) {
	if _, err := by.Exec("BEGIN", nil); err != nil {
		return nil, err
	}
	defer func() {
		_, endErr := by.Exec("COMMIT", nil)
		err = errors.Join(err, endErr)
	}()
	if _, err := queryInt(by, "SELECT count(*) FROM sqlite_schema"); err != nil {
		return nil, err
	}
	old, err := queryInt(by, "PRAGMA page_size")
	if err != nil {
		return nil, err
	}
	size, err := queryInt(o.src, "PRAGMA page_size")
	if err != nil || size != old {
		return nil, err
	}
	s, err := snapshot.Of(by, o.target.path)
	if err != nil {
		return nil, err
	}
	diff = pages.NewDiff(o.stage.file, o.stage.size/size, size)
	if err := s.CopyTo(ctx, diff, func(int64) {}); err != nil {
		return nil, err
	}
	// What is not written again must be as durable as what is.
	return diff, s.Sync()
}

// writeAhead has the kernel write while SQLite makes more.
type writeAhead struct {
	file    *os.File // the WAL; nil if there is none
	started int64    // how much of it
}

// writeAhead is for a WAL: nobody has locks on it that another descriptor's end would
// drop, as on the database itself.
func (o *overwrite) writeAhead() *writeAhead {
	w := &writeAhead{}
	if o.push.wal {
		w.file, _ = os.Open(o.target.path + "-wal")
	}
	return w
}

// start begins to write what is there.
func (w *writeAhead) start() {
	if w.file == nil {
		return
	}
	if info, err := w.file.Stat(); err == nil && info.Size() > w.started {
		startWriteback(w.file, w.started, info.Size()-w.started)
		w.started = info.Size()
	}
}

func (w *writeAhead) close() {
	if w.file != nil {
		w.file.Close()
	}
}
