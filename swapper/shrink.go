package swapper

import (
	"context"
	"path/filepath"
	"time"

	"hotswap/driver"
	"hotswap/internal/lognote"
	"hotswap/internal/sqlitefile"
)

// largeWAL is the size of a WAL, in bytes, whose removal takes time.
const largeWAL = 4 << 20

// cutPause bounds how long writes wait until no transaction is open, so that a
// WAL can be cut.
const cutPause = 20 * time.Millisecond

// shrink moves the WAL into the file while calls flow, and cuts a large one if
// nobody reads from it. To cut it SQLite takes the write lock, which must not
// make a write of the program's fail: so those wait, and an open transaction,
// which could come to write, is let alone. What others keep it from is no error.
func shrink(ctx context.Context, db *driver.Database) (done bool, err error) {
	defer db.Visit()()
	l, err := openLive(ctx, db, 0)
	if err != nil {
		return false, err
	}
	defer l.close()
	if !l.wal {
		return true, nil
	}
	done, err = l.checkpointOnce(ctx, "PASSIVE")
	if err != nil || sqlitefile.WALSize(db.Path()) <= largeWAL {
		return done || err == nil, err
	}
	quiet, err := db.Freeze(ctx, driver.FreezeOptions{WritesOnly: true, MaxPause: cutPause})
	if err != nil {
		return false, nil
	}
	defer quiet.Thaw()
	if len(quiet.Holders) > 0 {
		return false, nil
	}
	return l.checkpointOnce(ctx, "TRUNCATE")
}

func (l *live) checkpointOnce(ctx context.Context, mode string) (done bool, err error) {
	var busy, log, moved int
	err = l.pool.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &log, &moved)
	if busyElsewhere(err) {
		return false, nil
	}
	return err == nil && busy == 0, err
}

// shrink cuts the WAL that the copy has made as large as the database. A reader
// that has been at it since before may keep it from that; then it is tried again
// until nobody does.
func (o *overwrite) shrink(ctx context.Context) error {
	if !o.wal {
		return nil
	}
	o.phase("checkpoint")
	done, err := shrink(context.WithoutCancel(ctx), o.db) // after a cancelled copy, too
	if _, moved := o.target.still(); err != nil && moved != nil {
		return nil // away from the path meanwhile: its last close moves the WAL
	}
	if err != nil && o.report.Swapped {
		return &failure{text: "swapped, but the WAL, which has the new content, could not be moved into the file", cause: err,
			kinds: []error{ErrDurabilityUnknown}, hint: "look at the disk's health"}
	}
	if !done {
		name := filepath.Base(o.target.path) + "-wal"
		lognote.Send(o.log.Warn().Str("database", o.target.path), name+" keeps its size until a long read has ended")
		shrinkLater(o.db)
	}
	return nil
}

// shrinkEvery is how often, and for how many times, a WAL is tried to be cut.
const (
	shrinkEvery = 5 * time.Second
	shrinkTries = 720
)

// shrinkLater cuts the database's WAL once nobody reads from it. It gives up
// when something else has cut it: another swap, or the last close.
func shrinkLater(db *driver.Database) {
	generation := db.Generation()
	var try func(left int)
	try = func(left int) {
		if now, ok := driver.Lookup(db.Path()); !ok || now != db || db.Generation() != generation || left == 0 {
			return
		}
		if sqlitefile.WALSize(db.Path()) <= largeWAL {
			return
		}
		done, err := shrink(context.Background(), db)
		if !done && err == nil {
			time.AfterFunc(shrinkEvery, func() { try(left - 1) })
		}
	}
	time.AfterFunc(shrinkEvery, func() { try(shrinkTries) })
}
