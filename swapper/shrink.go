package swapper

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hotswap/driver"
	"hotswap/internal/dbpath"
)

// shrink brings the WAL back to the file, and cuts it: it has the size of the
// whole database now. A reader that has been at it since before may keep it
// from that; then it is tried again until nobody does.
func (o *overwrite) shrink(ctx context.Context) {
	if !o.wal {
		return
	}
	o.phase("checkpoint")
	if o.live.shrink() {
		return
	}
	name := o.target.path + "-wal"
	if info, err := os.Stat(name); err == nil && info.Size() > largeWAL {
		o.log.Warn().Str("database", o.target.path).Int64(fieldBytes, info.Size()).Msg(filepath.Base(name) + " keeps its size until a long read has ended")
		shrinkLater(o.db)
	}
}

// shrink checkpoints and cuts the WAL, if nobody reads from it.
func (l *live) shrink() bool {
	l.pool.Exec("PRAGMA wal_checkpoint(PASSIVE)") // most of the work, in nobody's way
	l.pool.Exec(fmt.Sprintf("PRAGMA busy_timeout=%d", lockWait))
	var busy, log, done int
	err := l.pool.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done)
	return err == nil && busy == 0
}

// shrinkEvery is how often, and for how many times, a WAL is tried to be cut
// that a read kept large.
const (
	shrinkEvery = 5 * time.Second
	shrinkTries = 720
)

// shrinkLater cuts the database's WAL once nobody reads from it. It gives up
// when something else has: another swap, or the last close.
func shrinkLater(db *driver.Database) {
	generation := db.Generation()
	var try func(left int)
	try = func(left int) {
		if now, ok := driver.Lookup(db.Path()); !ok || now != db || db.Generation() != generation || left == 0 {
			return
		}
		if info, err := os.Stat(db.Path() + "-wal"); err != nil || info.Size() <= largeWAL {
			return
		}
		l := &live{pool: db.OpenFile(dbpath.URI(db.Path(), "mode=rw", "_busy_timeout=0"), false)}
		done := l.shrink()
		l.close()
		if !done {
			time.AfterFunc(shrinkEvery, func() { try(left - 1) })
		}
	}
	time.AfterFunc(shrinkEvery, func() { try(shrinkTries) })
}
