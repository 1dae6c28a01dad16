package swapper

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dirwatch"
	"hotswap/internal/door"
	"hotswap/internal/inside"
	"hotswap/internal/snapshot"
	"hotswap/internal/sqlitefile"
)

// rest brings the live database to rest while its readers go on: all that was
// acknowledged is in the one file, durably, and whatever name a power loss may bring
// back beside it (a -wal or a -journal whose removal is not durable) holds nothing that
// SQLite would replay into the new file. What takes the disk's time is done here, so
// that with the gate closed nothing need be synced but the rename. A read that keeps the
// WAL from being emptied leaves one sync more to the gate, that of the WAL's removal.
//
// Writes wait meanwhile, and where reads compete with it for the processors they wait for
// longer than the same would take in the gate: so it is done only where the disk has just
// shown itself to be slow (push.nameUndo).
//
// Writes wait as far as the driver can tell. What writes nonetheless (another process, a
// function that a SELECT calls) is found out: the directory is watched from before the
// syncs, and looked at once the lease is granted. Nobody has the file open then, and
// nobody has written it, or its -wal or -journal, or made one, since. That holds for what
// is not to be seen in the files any more, too: a journal that was made and removed, a
// commit that was checkpointed, frames of a transaction that was rolled back. If anything
// was touched, or if that can't be told, replacement.clearSidecars makes it all durable in
// the gate, as if there had been no rest.
type rest struct {
	push  *push
	watch *dirwatch.Watch
	// names are those of the file, its log and its journal, in the directory.
	file, log, journal string
	// conn is kept in WAL mode, so that the last of the program's connections to close,
	// which the pool may do at any time, does not remove the log, and the next one does
	// not make another.
	conn *live
	// unsynced: a log or a journal may have been removed, with what it held, since the
	// directory was last synced; for there was another one since, or a journal was written.
	unsynced bool
	tired    bool // it took too long, and is not tried again
	reached  restState
}

// restState is how much of the work for the disk is done.
type restState int

const (
	noRest restState = iota
	// inFile: all is in the one file, durably. But the WAL holds it as well: that this is
	// removed must be durable before the rename.
	inFile
	atRest
)

// restPatience bounds the wait for readers of what is being moved out of the WAL.
const restPatience = 5 * time.Millisecond

// newRest begins to watch the directory, before push.seal syncs it. It returns nil if
// there is no database that could be at rest, or no watch to be had.
func newRest(p *push) *rest {
	if !p.target.exists || !p.readable || p.opts.DryRun {
		return nil
	}
	name := filepath.Base(p.target.path)
	r := &rest{push: p, file: name, log: name + "-wal", journal: name + "-journal"}
	var err error
	if r.watch, err = dirwatch.New(p.target.opened, r.file, r.log, r.journal); err != nil {
		return nil
	}
	return r
}

// close ends the watch, and keeps nothing open. A nil rest has nothing.
func (r *rest) close() {
	if r != nil {
		r.leave()
		r.watch.Close()
	}
}

// endRest ends the push's rest, or what was to become one.
func (p *push) endRest() {
	p.rest.close()
	p.rest = nil
}

// leave closes the connection.
func (r *rest) leave() {
	if r != nil && r.conn != nil {
		r.conn.close()
		r.conn = nil
	}
}

// quiet is what a freeze is to do before it closes the gate to readers.
func (r *rest) quiet() func(context.Context, func() bool) error {
	if r == nil {
		return nil
	}
	return r.attempt
}

// attempt returns an error only if the push must end. That the database did not come to
// rest is none.
func (r *rest) attempt(ctx context.Context, hold func() bool) error {
	r.leave()
	if r.reached = noRest; r.tired {
		return nil
	}
	defer inside.Of(r.push.db).Visit()()
	err := r.come(ctx, hold)
	r.tired = ctx.Err() != nil
	if r.reached == noRest {
		r.leave()
	}
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	return nil // SQLite's own, most often, which the gate will meet again
}

// come opens the connection before writes wait: to open one takes longer than what is
// done with it.
func (r *rest) come(ctx context.Context, hold func() bool) error {
	l, err := openLive(ctx, r.push.db, 0)
	if err != nil {
		return err
	}
	r.conn = l
	c, err := r.sqlite(ctx)
	if c == nil {
		return err
	}
	if l.wal {
		return r.emptyLog(c, hold)
	}
	return r.endJournal(c, hold)
}

// held has writes wait, and forgets what was touched before.
func (r *rest) held(hold func() bool) bool {
	if !hold() {
		return false
	}
	_, err := r.touched()
	return err == nil
}

// syncNames makes the removal of earlier logs and journals durable.
func (r *rest) syncNames() error {
	if _, err := r.touched(); err != nil || !r.unsynced {
		return err
	}
	if err := r.push.target.syncDir(); err != nil {
		return failed("make the removal of the WAL durable", err)
	}
	r.unsynced = false
	return nil
}

// sqlite returns the one SQLite connection of conn, for use outside of Raw: nobody else
// has it until it is closed. It returns nil if it is not on the file that was inspected.
func (r *rest) sqlite(ctx context.Context) (c *sqlite3.SQLiteConn, err error) {
	conn, err := r.conn.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	err = conn.Raw(func(own any) error {
		if slices.ContainsFunc(door.Of(own), func(h door.Handle) bool { return h.File == r.push.target.id }) {
			c = own.(interface{ SQLite() *sqlite3.SQLiteConn }).SQLite()
		}
		return nil
	})
	return c, err
}

// touched returns which of the three were touched since it was last asked.
func (r *rest) touched() (names []string, err error) {
	names, err = r.watch.Touched()
	r.note(names)
	return names, err
}

func (r *rest) note(names []string) {
	r.unsynced = r.watch.Made(r.log) || slices.Contains(names, r.journal) || r.unsynced
}

// emptyLog makes the WAL durably empty; the steps are those of snapshot.EmptyLog.
func (r *rest) emptyLog(c *sqlite3.SQLiteConn, hold func() bool) error {
	// SQLite has no locks on the WAL, which to close it would drop.
	log, err := openSidecar(r.push.target.path + "-wal")
	if err != nil {
		return err
	}
	defer log.Close()
	// As long as the connection is open no log is removed.
	if err := r.syncNames(); err != nil {
		return err
	}
	if !r.held(hold) || r.unsynced { // a moment's change of the journal mode
		return nil
	}
	emptied, err := snapshot.EmptyLog(c, log, restPatience, r.watch.FD(), make([]byte, 64<<10))
	if err != nil || !emptied.Moved {
		return settleFailed(err)
	}
	before, err := r.watch.Names(emptied.Before)
	if err != nil {
		return err
	}
	within, err := r.watch.Names(emptied.Within)
	if err != nil {
		return err
	}
	// That somebody else wrote meanwhile would show in the log until all was in the file and
	// synced, and then in either: whatever is new goes through the log. What is written
	// after that is seen by the watch.
	r.note(slices.Concat(before, within))
	if r.unsynced || slices.Contains(before, r.log) || slices.Contains(within, r.file) {
		return nil
	}
	switch {
	case !emptied.Done:
		if !slices.Contains(within, r.log) {
			r.reached = inFile
		}
	case sqlitefile.PendingSize(r.push.target.path) == 0:
		r.reached = atRest
	}
	return nil
}

// endJournal makes the end of the latest transaction durable, which is the end of its
// journal: SQLite syncs the directory behind its removal only with synchronous=EXTRA.
func (r *rest) endJournal(c *sqlite3.SQLiteConn, hold func() bool) error {
	defer r.leave()
	if !r.held(hold) {
		return nil
	}
	name := r.push.target.path + sqlitefile.Sidecars[0]
	if err := syncSidecar(name); err != nil {
		return err
	}
	if err := snapshot.EndJournal(c, r.push.target.opened); err != nil {
		return settleFailed(err)
	}
	switch pending, err := sqlitefile.Pending(r.push.target.path); {
	case err != nil:
		return err
	case pending == "":
		r.reached = atRest
	case name == r.push.target.path+pending: // kept, by journal_mode=PERSIST
		hot, err := hotJournal(name)
		if err == nil && !hot {
			r.reached = atRest
		}
		return err
	}
	return nil
}

// settleFailed makes a failure, which ends the push, of a sync that failed: the disk
// reports an error once, and a second sync, in the gate, might succeed.
func settleFailed(err error) error {
	var f *snapshot.SyncError
	if errors.As(err, &f) {
		return failed("bring the live database to rest", err)
	}
	return err
}

// lasts returns what of attempt's work still holds. The caller has the lease: nobody has
// the database open.
func (r *rest) lasts() restState {
	if r == nil {
		return noRest
	}
	if touched, err := r.touched(); err != nil || len(touched) > 0 {
		return noRest
	}
	return r.reached
}
