package swapper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/dbpath"
	"hotswap/internal/disk"
	"hotswap/internal/door"
	"hotswap/internal/gather"
	"hotswap/internal/inside"
	"hotswap/internal/memory"
	"hotswap/internal/sqlitefile"
)

// overwrite writes the stage's content over the live database's, in one
// transaction of SQLite's: it is what every process that has the file open
// agrees on. Each page is written once into the WAL, or its old content into the
// journal, and once into the file; into the first of the two many pages at a time, see
// package gather. Pages that are the same already are written, too: SQLite's backup knows
// no other way, and sqlite_dbpage is not compiled into go-sqlite3. The stage itself is not
// written out by us, and if it is soon gone, by nobody.
//
// In WAL mode reads go on throughout, each from its snapshot; the driver keeps
// writes and transactions waiting. With a rollback journal the program's
// connections are drained and closed as for a rename: a commit waits for readers,
// and keeps them off. For those that SQLite's locks do not reach see refuseUnlocked and
// keepAttachersOut.
//
// If the process, or the machine, dies before the last step of the copy has
// returned, the old database is left: its pages are in the file, or in the
// rollback journal; what was written is in the WAL without a commit. From then
// on it is the new one, in the WAL or in the file.
type overwrite struct {
	push   *push
	target *target               // the live file
	stage  *stage                // the new content
	frozen *driver.Frozen        // the program's writes, or all its calls
	others attachers             // those of databases that have this one attached
	live   *live                 // our connection to the database, while it is open,
	conn   *sql.Conn             // the one of its pool,
	dst    *sqlite3.SQLiteConn   // and that in it
	src    *sqlite3.SQLiteConn   // reads the stage
	copy   *sqlite3.SQLiteBackup // from src to dst, in a transaction
	cookie int64                 // the old schema's, which distinguishes the old content from the new
	copied *stage                // a copy of the old content, if one is to be kept
	kept   bool                  // recovery would keep it
	// committing is set once the step that commits may have begun.
	committing bool
	forced     bool // mayForce has said yes
}

// inPlace writes over the live database, because of what keeps the push from renaming.
func (p *push) inPlace(ctx context.Context, why error) error {
	p.report.InPlaceBecause = why.Error()
	p.events.step(StepInPlace, "going in place: "+why.Error(), map[string]any{"because": why.Error()})
	err := p.overwriteLive(ctx)
	if err != nil && !p.report.Swapped && p.opts.method() == MethodAuto && !(isHeld(err) && isHeld(why)) {
		return fmt.Errorf("%w (in place, since by rename it can't be done: %v)", err, why)
	}
	return err
}

func (p *push) overwriteLive(ctx context.Context) error {
	o := &overwrite{push: p, target: p.target, stage: p.stage}
	defer o.close()
	var pages, pageSize int64
	var sourceErr error // the stage's, not the live database's
	err := p.visit(ctx, func(l *live) (err error) {
		defer o.closeLive()
		if sourceErr = o.openSource(); sourceErr != nil {
			return sourceErr
		}
		if err = o.open(ctx, l); err == nil {
			pages, pageSize, err = o.fits()
		}
		return err
	})
	if sourceErr == nil && unreadable(err) {
		return &failure{text: "the live database can't be read, so nothing can be written into it", cause: err, kinds: []error{ErrTarget},
			hint: "stop whatever else has it open, and push by rename (--method=rename)"}
	}
	if err != nil {
		return liveBusy("open the live database", err)
	}
	if err := o.refuseUnlocked(); p.wal && err != nil {
		return err
	}
	if err := o.room(pages, pageSize); err != nil {
		return err
	}
	if p.opts.DryRun {
		p.report.Method = MethodInPlace
		return nil
	}
	return o.run(ctx)
}

// openSource opens the stage, in the live database's journal mode.
func (o *overwrite) openSource() error {
	o.closeSource()
	if err := sqlitefile.SetJournal(o.stage.file, o.push.wal); err != nil {
		return failed("keep the journal mode", err)
	}
	opened, err := (&sqlite3.SQLiteDriver{}).Open(dbpath.URI(o.stage.path, "mode=ro", "immutable=1"))
	if err != nil {
		return failed("open the stage", err)
	}
	o.src = opened.(*sqlite3.SQLiteConn)
	if _, err := o.src.Exec(mapping(o.stage.size, memory.Available()), nil); err != nil {
		return failed("open the stage", err)
	}
	return nil
}

// open makes l our connection to the database.
func (o *overwrite) open(ctx context.Context, l *live) (err error) {
	o.live = l
	if o.conn, err = l.pool.Conn(ctx); err != nil {
		return failed("open the live database", err)
	}
	// The connection is used outside of Raw: nobody else has it until it is closed.
	err = o.conn.Raw(func(c any) error {
		o.dst = c.(interface{ SQLite() *sqlite3.SQLiteConn }).SQLite()
		return nil
	})
	if err != nil {
		return failed("open the live database", err)
	}
	// Durable when the last step returns, in WAL mode too.
	pragmas := "PRAGMA synchronous=EXTRA"
	if !l.wal {
		// Whenever the cache is full, the journal is synced before a page of the file is
		// overwritten.
		pragmas += "; " + largeCache(memory.Available())
	}
	if _, err := o.dst.Exec(pragmas, nil); err != nil {
		return liveBusy("set up the live database's connection", err)
	}
	return nil
}

func (o *overwrite) closeLive() {
	if o.conn != nil {
		o.conn.Close()
	}
	o.live.close()
	o.live, o.conn, o.dst = nil, nil, nil
}

func (o *overwrite) closeSource() {
	if o.src != nil {
		o.src.Close()
		o.src = nil
	}
}

func (o *overwrite) close() {
	o.rollback()
	o.closeLive()
	o.closeSource()
	if o.copied != nil {
		o.copied.discard()
	}
}

// run returns with report.Swapped saying which content the database has.
func (o *overwrite) run(ctx context.Context) error {
	if err := o.lock(ctx); err != nil {
		return err
	}
	defer func() { // a no-op by then, unless something panics
		o.frozen.Thaw()
		o.others.thaw()
	}()
	err := o.push.condition.holds(o.dst)
	if err == nil {
		err = o.copyOld(ctx)
	}
	if err == nil {
		err = o.write(ctx)
	}
	if err != nil {
		err = o.undo(err)
	}
	o.unlock()
	if len(door.Open(o.target.path)) > 1 {
		o.closeLive()
	}
	// To close it may take long, if it is the last one: so that comes with calls flowing,
	// but before OnSwap is waited for, which may meet another file that was put there.
	ended := inside.Of(o.push.db).Visit()
	o.openGate(o.closeLive)
	o.closeLive() // had there been nothing to thaw
	ended()
	if o.push.report.Swapped {
		o.push.events.step(StepOverwritten, string(StepOverwritten), map[string]any{fieldTarget: o.target.path})
		// SQLite doesn't mind if the directory can't be synced, which has the name
		// of a new WAL, or still that of a journal that would undo all this.
		if syncErr := o.target.syncDir(); syncErr != nil && err == nil {
			err = durabilityUnknown(syncErr)
		}
		err = errors.Join(err, o.nameCopy())
	}
	if shrinkErr := o.moveWAL(ctx); err == nil {
		err = shrinkErr
	}
	return err
}

// write copies all pages and commits.
func (o *overwrite) write(ctx context.Context) error {
	if o.copy == nil {
		if locked, err := o.beginCopy(); err != nil {
			return failed("write to the live database", err)
		} else if !locked {
			return o.writerElsewhere()
		}
	}
	ahead := o.writeAhead()
	defer ahead.close()
	pageSize := o.stage.size / max(1, int64(o.copy.PageCount()))
	for {
		if err := ctx.Err(); err != nil {
			return err // up to the step that commits
		}
		state, err := o.target.still()
		if err != nil {
			return err
		}
		copied := o.stage.size - int64(o.copy.Remaining())*pageSize
		if free, headroom, err := disk.Space(o.target.dir); err == nil && free-o.cached(copied, state.size) < headroom/2 {
			return &failure{text: "the disk is filling up", kinds: []error{ErrNoSpace}, hint: "make room on the disk and try again"}
		}
		pages := max(1, stepBytes/int(max(1, pageSize)))
		if o.copy.Remaining() <= pages {
			if err := o.keepCopy(); err != nil {
				return err
			}
			o.committing = true
		}
		done, err := o.copy.Step(pages)
		if err != nil {
			return failed("write to the live database", err)
		}
		if err := gather.Journal(o.dst); err != nil {
			return failed("write to the live database", err)
		}
		ahead.start()
		total := o.stage.size
		copied = total - int64(o.copy.Remaining())*pageSize
		o.push.events.progress(StepOverwriting, fmt.Sprintf("wrote %d of %d bytes", copied, total), copied, total)
		if done {
			err := o.rollback() // there is nothing left to undo: it ends the copy
			o.push.report.Swapped, o.push.report.Method = true, MethodInPlace
			if err != nil {
				return durabilityUnknown(err)
			}
			return nil
		}
		if o.copy.Remaining() == 0 {
			return o.writerElsewhere() // something keeps it from the commit
		}
	}
}

// cached is by how much the file, of that size, will grow for what was copied. The log
// and the journal are written at once.
func (o *overwrite) cached(copied, size int64) int64 {
	if o.push.wal {
		return 0
	}
	return max(0, copied-size)
}

// undo rolls the copy back, and finds out what the database holds then.
func (o *overwrite) undo(cause error) error {
	if o.push.report.Swapped {
		return cause
	}
	o.rollback() // its error is that of the step that failed
	if !o.committing {
		return cause
	}
	cookie, err := queryInt(o.dst, "PRAGMA schema_version")
	switch {
	case err != nil:
		o.frozen.Replaced() // it may be so
		if o.copied != nil {
			o.push.report.BackupPath, o.copied.path = o.copied.path, "" // recovery will see
		}
		return &failure{text: "the write in place neither finished nor could be undone", cause: errors.Join(cause, err), kinds: []error{ErrOutcomeUnknown},
			hint: "check the disk, then see which one it is: SQLite recovers the database once it can be read again"}
	case cookie != o.cookie:
		o.push.report.Swapped, o.push.report.Method = true, MethodInPlace
		return durabilityUnknown(cause)
	}
	return cause
}
