package swapper

import (
	"context"

	"hotswap/driver"
)

// refuseUnlocked refuses to write under connections that take no locks: they would
// read pages of the new content among those of the old. With a rollback journal the
// program's own are closed by then. In WAL mode that would not help: they read the
// file without the WAL, which has the new content until no reader needs the old.
func (o *overwrite) refuseUnlocked() error {
	if !o.db.Unlocked(!o.wal) {
		return nil
	}
	return &failure{text: "the program has the database open with immutable=1 or nolock=1: who reads without locks would take what is written in place for damage",
		kinds: []error{ErrBusy},
		hint:  "stop what else has the database open, and push by rename, or open it without that"}
}

// keepAttachersOut has the writes of other databases wait that have this one
// attached. They are drained and closed where that is what happens to the
// database's own: with a rollback journal, and if they read through a shared cache.
// One that can't be is left to SQLite's locks, if it minds those; its calls are made
// again.
func (o *overwrite) keepAttachersOut(ctx context.Context) (all attachers, err error) {
	for _, db := range o.db.Attachers() {
		shares := db.SharesCache(o.target.path)
		frozen, err := db.Freeze(ctx, driver.FreezeOptions{Timeout: attacherPatience, MaxPause: attacherPatience,
			WritesOnly: o.wal && !shares, Logger: &o.opts.Logger})
		switch {
		case err == nil:
			o.report.Connections += frozen.Connections
			all = append(all, frozen)
		case ctx.Err() != nil:
			return all, ctx.Err()
		case shares:
			return all, attacherHeld(db, err, "it reads through a shared cache, so it is to be closed: try again")
		}
	}
	return all, nil
}
