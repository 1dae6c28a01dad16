package swapper

import (
	"context"
	"path/filepath"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/sqlitefile"
)

// largeWAL is the size of a WAL, in bytes, whose removal takes time.
const largeWAL = 4 << 20

// shrinkWAL moves the WAL into the file with the gate open, and truncates a large one if
// nobody reads from it. To truncate it SQLite takes the write lock, which must not
// make a write of the program's fail: so writes wait, and while a transaction is open,
// which might write, nothing is truncated. To be kept from it is not an error.
func shrinkWAL(ctx context.Context, db *driver.Database) (done bool, err error) {
	defer inside.Of(db).Visit()()
	l, err := openLive(ctx, db, 0)
	if busyElsewhere(err) { // its last connection is being closed, say
		return false, nil
	}
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
	quiet, err := quieten(ctx, db, quietPause)
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

// moveWAL moves into the file what the copy has put into the WAL, and truncates that,
// which is as large as the database now. A reader that has been at it since before may
// keep it from that; then it is tried again until nobody does.
func (o *overwrite) moveWAL(ctx context.Context) error {
	if !o.push.wal {
		return nil
	}
	o.push.phases.begin("checkpoint")
	done, err := shrinkWAL(context.WithoutCancel(ctx), o.push.db) // after a cancelled copy, too
	if _, moved := o.target.still(); err != nil && moved != nil {
		return nil // away from the path meanwhile: its last close moves the WAL
	}
	if err != nil && o.push.report.Swapped {
		return &failure{text: "swapped, but the WAL, which has the new content, could not be moved into the file", cause: err,
			kinds: []error{ErrDurabilityUnknown}, hint: "check the disk"}
	}
	if !done {
		name := filepath.Base(o.target.path) + "-wal"
		o.push.events.warn(name+" keeps its size until a long read has ended", nil)
		shrinkLater(o.push.db)
	}
	return nil
}

// shrinkEvery is how often, and for how many times, it is tried to truncate a WAL.
const (
	shrinkEvery = 5 * time.Second
	shrinkTries = 720
)

// shrinkLater truncates the database's WAL once nobody reads from it. It gives up
// when something else has truncated it: another swap, or the last close.
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
		done, err := shrinkWAL(context.Background(), db)
		if !done && err == nil {
			time.AfterFunc(shrinkEvery, func() { try(left - 1) })
		}
	}
	time.AfterFunc(shrinkEvery, func() { try(shrinkTries) })
}
