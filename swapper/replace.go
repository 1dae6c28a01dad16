package swapper

import (
	"context"
	"errors"
	"os"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/livefile"
	"hotswap/internal/openers"
	"hotswap/internal/sqlitefile"
)

// replacement puts the stage in the live file's place, with every connection
// of the program closed and no call under way.
//
// The stage has the undo's name by then, durably (push.nameUndo), so that in the one step in
// which the names are exchanged the old file gets a name that says what it is. If
// the process, or the machine, dies between two steps, this is what is left:
//
//	before "checkpoint"      the old database and its sidecars; SQLite recovers
//	                         from them as after any crash
//	after "checkpoint"       the old database, whole in its one file; on a slow disk as a
//	                         rule since before the gate closed, durably: see rest
//	after "shut the door"    the same
//	after "be alone"         the same: locks end with their process
//	after "clear sidecars"   the same. No power loss can bring the old WAL back beside
//	                         the new file with anything in it: either the directory is
//	                         synced, and it is gone; or it was emptied, and that synced,
//	                         and since then nothing has touched it, nor made another
//	                         (rest), so that what may come back holds nothing. Likewise a
//	                         journal.
//	after "take the place"   the old or the new database, each whole: which one
//	                         is up to the disk until the directory is synced
//	after "sync"             the new database
//	after "clean up"         the same, and the old one has its backup name or is gone
//
// and until then, beside it, a file with the undo's name. RemoveOrphans tells by the
// inode numbers in it what that is: the new file, which never was the live one, or
// the old one, which is to be removed or kept. If it is neither, somebody had put a
// file in the live one's place in the moment before the exchange, and the process
// died before it could be given back: that is moved aside, and never removed.
type replacement struct {
	push   *push
	target *target   // the live file
	stage  *stage    // the new one
	door   func()    // opens the path to the rest of the program; nil while it is open
	guard  *guard    // on the live file, from "be alone" on
	asides []string  // sidecars of an unread live database that were set aside
	rest   restState // what of the live database is synced
	// undo is the old file's name, or its second one, from "take the place" on.
	undo      string
	exchanged bool // undo is what the stage was called
}

// run returns with report.Swapped saying which database is live.
func (r *replacement) run(ctx context.Context) error {
	if err := r.checkpoint(); err != nil {
		return err
	}
	if err := r.shutDoor(ctx); err != nil {
		return err
	}
	if err := r.beAlone(); err != nil {
		return err
	}
	if err := r.keepJournalMode(); err != nil {
		return err
	}
	if err := r.push.condition.holds(nil); err != nil {
		return err
	}
	if err := r.clearSidecars(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // the last chance to stop
	}
	if err := r.takePlace(); err != nil {
		return err
	}
	// From here on the new database is live, and nothing may fail silently.
	synced := r.target.syncDir()
	r.push.events.step(StepRenamed, string(StepRenamed), map[string]any{fieldTarget: r.target.path})
	r.stage.release()
	if r.guard != nil {
		r.guard.endLease()
	}
	if synced != nil {
		return durabilityUnknown(synced)
	}
	return nil
}

// checkpoint brings everything acknowledged into the one file. As a rule the last
// of the program's connections to close has done it; if another process has the
// database open, or that one was not allowed to, a connection of our own is the last.
func (r *replacement) checkpoint() error {
	r.push.rest.leave()
	if !r.push.readable || sqlitefile.PendingSize(r.target.path) == 0 {
		return nil
	}
	l, err := openLive(context.Background(), r.push.db, lockWait*time.Millisecond)
	if err == nil {
		err = l.checkpoint()
		if closeErr := l.close(); err == nil {
			err = closeErr
		}
	}
	switch f := (*failure)(nil); {
	case unreadable(err):
		r.push.notRead(err)
		if !r.push.opts.SkipSchemaCheck {
			return r.push.errUnread("what its WAL holds can't be brought into the file")
		}
		return nil
	case err == nil || errors.As(err, &f):
		return err
	}
	return failed("read the live database", err)
}

// shutDoor makes everything in the program that opens the path wait: another driver,
// say, or an ATTACH. Until the door is opened again, nothing opens the file that was
// proven to be open nowhere, or the new one too early.
func (r *replacement) shutDoor(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, lockWait*time.Millisecond)
	defer cancel()
	open, err := door.Shut(patient, r.target.path)
	if err == nil {
		r.door = open // also if ctx has ended: whoever has shut it must open it
		return ctx.Err()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &failure{text: "something in the program is opening the live file and does not finish", cause: err, kinds: []error{ErrBusy},
		hint: "try again"}
}

func (r *replacement) openDoor() {
	if r.door != nil {
		r.door()
		r.door = nil
	}
}

// beAlone proves that nobody has the live file open any longer, in this process or
// another, and keeps it so: whoever had would go on with the old file after the rename.
func (r *replacement) beAlone() error {
	if !r.target.exists {
		return r.push.removedAlone()
	}
	state, err := r.target.still()
	if err == nil {
		err = r.target.oneName(state)
	}
	if err == nil {
		err = r.target.stillEmpty(state.size)
	}
	if err != nil {
		return err
	}
	// Before the file is opened: to close it again would drop the locks of a
	// connection that is not ours.
	open, err := openers.Here(r.target.state.inode())
	if err != nil {
		return failed("inspect the program's descriptors", err)
	}
	if open || len(door.Open(r.target.path)) > 0 {
		return &failure{
			text:    "the program itself still has the live file open, outside the driver's connections",
			kinds:   []error{ErrBusy},
			hint:    "look for a pool of another driver, an ATTACH from a database in memory, or a statement or backup left open in driver.Raw; or push in place (--method=in-place)",
			inPlace: true,
		}
	}
	err = r.push.untilAlone(r.target.state.inode(), func() (err error) {
		r.guard, err = newGuard(r.target.path, r.push.wantLease)
		return err
	})
	if err != nil {
		return err
	}
	return r.guards()
}

// guards proves that the guard is on the file that was inspected, and not on one
// that came to the path a moment ago. As long as it has that open, no other gets
// its inode's number.
func (r *replacement) guards() error {
	if fileid.OfFD(r.guard.file.Fd()) != r.target.id {
		return errReplaced()
	}
	if r.guard.leased {
		r.rest = r.push.rest.lasts()
	}
	if r.guard.unfenced {
		r.push.events.warn("the live file is read-only, so there is no fence: a process that opens it at the moment of the swap reads the replaced file until it opens the path again", nil)
	}
	return nil
}

// keepJournalMode follows a program that has set another journal mode since the stage
// was sealed.
func (r *replacement) keepJournalMode() error {
	if !r.push.readable || r.guard == nil {
		return nil
	}
	head, err := sqlitefile.ReadHeader(r.guard.file)
	if wal := head.Versions.WAL(); err == nil && wal != r.push.wal {
		r.push.wal = wal
		err = errors.Join(sqlitefile.SetJournal(r.stage.file, wal), r.stage.file.Sync())
		r.push.report.stamp = livefile.StampOf(r.stage.file)
	}
	if err != nil {
		return failed("keep the journal mode", err)
	}
	return nil
}

// clearSidecars removes the old database's WAL and journal, which hold nothing
// now: beside the new file they would be replayed into it. That is made durable, with
// what the file holds, but for what of that rest has done while readers went on. Whatever
// comes back of them then holds nothing.
func (r *replacement) clearSidecars() error {
	if err := r.setAside(); err != nil {
		return err
	}
	if err := r.target.clearSidecars(r.push.wal, r.guard != nil && r.guard.leased); err != nil {
		return err
	}
	if r.rest == atRest {
		return nil
	}
	if r.guard != nil && r.rest == noRest {
		if err := r.guard.file.Sync(); err != nil {
			return failed("fsync the live file", err)
		}
	}
	if err := r.target.syncDir(); err != nil {
		return failed("make the removal of the WAL durable", err)
	}
	return nil
}

// cleanUp runs with the gate open again: to free the blocks of a large file
// takes time. It removes the old file, or gives it its backup name.
func (r *replacement) cleanUp() (err error) {
	switch {
	case r.undo == "" || !r.push.report.Swapped:
	case r.push.opts.Backup:
		err = r.push.nameBackup(r.undo)
	default:
		if err = os.Remove(r.undo); err != nil {
			err = failed("remove the replaced file", err)
		}
	}
	if r.guard != nil && r.push.report.Swapped {
		r.guard.lift(r.push.opts.Backup, func() {
			r.push.events.warn("a process opened the replaced file at the moment of the swap: it gets SQLITE_BUSY until it opens the database again", nil)
		})
	}
	return err
}

// abandon undoes a replacement that was not made, before the thaw: the old file is live,
// and our descriptor of it must be closed before a connection opens it.
func (r *replacement) abandon() error {
	var err error
	r.stage.endLease() // a push in place opens the stage
	if r.undo != "" {
		err = os.Remove(r.undo)
		r.undo = ""
	}
	if r.guard != nil {
		r.guard.close()
		r.guard = nil
	}
	if err != nil {
		return failed("remove the second name of the live file", err)
	}
	return nil
}
