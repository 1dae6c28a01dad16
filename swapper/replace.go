package swapper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"hotswap/internal/door"
)

// replacement puts the stage in the live file's place, with every connection
// of the program closed and no call under way.
//
// If the process, or the machine, dies between two steps, this is what is left:
//
//	before "checkpoint"      the old database and its sidecars; SQLite recovers
//	                         from them as after any crash
//	after "checkpoint"       the old database, whole in its one file
//	after "be alone"         the same: locks end with their process
//	after "clear sidecars"   the same; the directory is synced, so that no power
//	                         loss can bring the old WAL back beside the new file
//	after "keep the old"     the same, under two names
//	after "rename"           the old or the new database, each whole: which one
//	                         is up to the disk until the directory is synced
//	after "sync"             the new database
//
// and beside it a stage, or an old file under an undo name: RemoveOrphans.
type replacement struct {
	*push
	door  func() // opens the path to the rest of the program; nil while it is open
	guard *guard // on the live file, from "be alone" on
	undo  string // its second name, from "keep the old" on
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
	if err := r.clearSidecars(); err != nil {
		return err
	}
	if err := r.keepOld(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // the last chance to stop
	}
	if err := r.rename(); err != nil {
		return err
	}
	// From here on the new database is live, and nothing may fail silently.
	synced := r.syncDir()
	r.step(StepRenamed, string(StepRenamed), map[string]any{fieldTarget: r.target.path})
	if err := r.probe(); err != nil {
		return r.swapBack(err)
	}
	if r.guard != nil {
		r.guard.endLease()
	}
	if synced != nil {
		synced = durabilityUnknown(synced)
	}
	return errors.Join(synced, r.keepBackup())
}

// checkpoint brings everything acknowledged into the one file, and closes the
// last connection of this process.
func (r *replacement) checkpoint() error {
	if r.live == nil {
		return nil
	}
	if err := r.live.checkpoint(r.target.path); err != nil {
		return err
	}
	if err := r.closeLive(); err != nil {
		return failed("close the live database", err)
	}
	return nil
}

// shutDoor has everybody in the program who would open the path wait: through
// another driver, say, or by an ATTACH. Until the door is opened again, nobody comes
// to the file that was proven to be nobody's, or sees the new one too early.
func (r *replacement) shutDoor(ctx context.Context) error {
	patient, cancel := context.WithTimeout(ctx, lockWait*time.Millisecond)
	defer cancel()
	open, err := door.Shut(patient, r.target.path)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &failure{text: "something in the program is opening the live file, and does not come to an end", cause: err, kinds: []error{ErrBusy},
			hint: "try again"}
	}
	r.door = open
	return nil
}

func (r *replacement) openDoor() {
	if r.door != nil {
		r.door()
		r.door = nil
	}
}

// beAlone proves that nobody has the live file open any more, in this process
// or another, and keeps it so: who did would go on with the old file after the
// rename.
func (r *replacement) beAlone() error {
	if !r.target.exists {
		return nil
	}
	size, err := r.target.still()
	if err == nil {
		err = r.target.stillEmpty(size)
	}
	if err != nil {
		return err
	}
	// Before the file is opened: to close it again would drop the locks of a
	// connection that is not ours.
	open, err := openedHere(r.target.dev, r.target.ino)
	if err != nil {
		return failed("look through the program's descriptors", err)
	}
	if open || len(door.Open(r.target.path)) > 0 {
		return &failure{
			text:    "the program itself still has the live file open, outside of the driver's connections",
			kinds:   []error{ErrBusy},
			hint:    "look for a pool of another driver, an ATTACH from a database in memory, or a statement or backup left open in driver.Raw",
			inPlace: true,
		}
	}
	began, patience := time.Now(), unseenPatience
	for try := 1; ; try++ {
		r.guard, err = newGuard(r.target.path, r.wantLease)
		if !errors.Is(err, errLeaseRefused) && !errors.Is(err, errFenceRefused) {
			return err
		}
		openers, newborn := lookForOpeners(r.target.dev, r.target.ino)
		if newborn {
			patience = newbornPatience // the next look may come between two of them
		}
		if len(openers) > 0 || try >= leaseTries && time.Since(began) > patience {
			return openElsewhere(openers)
		}
		time.Sleep(time.Millisecond)
	}
}

// clearSidecars removes the old database's WAL and journal, which hold nothing
// now, durably: beside the new file they would be replayed into it.
func (r *replacement) clearSidecars() error {
	if err := r.target.clearSidecars(r.wal); err != nil {
		return err
	}
	if r.guard != nil {
		if err := r.guard.file.Sync(); err != nil {
			return failed("fsync the live file", err)
		}
	}
	if err := r.syncDir(); err != nil {
		return failed("make the removal of the WAL durable", err)
	}
	return nil
}

// keepOld gives the live file a second name to go back to, so that the path
// never names nothing.
func (r *replacement) keepOld() error {
	if !r.target.exists {
		return nil
	}
	undo := besideName(r.target.path, r.stage.id, kindUndo)
	if err := os.Link(r.target.path, undo); err != nil {
		return failed("give the live file a second name to go back to", err)
	}
	r.undo = undo
	return nil
}

func (r *replacement) rename() error {
	if !r.target.exists {
		// A rename would replace what somebody has put there meanwhile.
		if err := os.Link(r.stage.path, r.target.path); errors.Is(err, os.ErrExist) {
			return &failure{text: "the live database did not exist at first and does now", kinds: []error{ErrBusy}, hint: "try again"}
		} else if err != nil {
			return failed("link the stage to the target", err)
		}
		os.Remove(r.stage.path)
	} else if err := os.Rename(r.stage.path, r.target.path); err != nil {
		return failed("rename the stage to the target", err)
	}
	r.report.Swapped, r.report.Method = true, MethodRename
	if r.guard != nil {
		r.guard.since = time.Now()
	}
	// Closed before any connection opens the file: see clearSidecars.
	r.stage.path = ""
	r.stage.close()
	return nil
}

// probe reads the new file's header at the live path. That SQLite can open the
// file was tried before any call waited (stage.rehearse): it reads the schema,
// and of a large one that takes longer than all the rest of the pause. No
// connection of this process has the file open yet, whose locks the close would
// drop.
func (r *replacement) probe() error {
	f, err := os.Open(r.target.path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.ReadAt(make([]byte, headerSize), 0)
	return err
}

// swapBack puts the old file back in its place, before any call saw the new one.
func (r *replacement) swapBack(cause error) error {
	cause = failed("read the new database in its place", cause)
	err := r.target.clearSidecars(false)
	if r.undo == "" {
		err = errors.Join(err, os.Remove(r.target.path))
	} else if renameErr := os.Rename(r.undo, r.target.path); renameErr != nil {
		r.report.BackupPath, r.undo = r.undo, "" // not to be cleaned up
		return &failure{text: "put the old database back", cause: errors.Join(renameErr, err, cause),
			hint: fmt.Sprintf("the old one is kept as %s: stop the program and move it to %s", r.report.BackupPath, r.target.path)}
	}
	r.undo = ""
	r.report.Swapped, r.report.Method = false, ""
	err = errors.Join(err, r.syncDir())
	r.step(StepSwappedBack, string(StepSwappedBack), nil)
	if err != nil {
		return errors.Join(cause, failed("put the old database back durably", err))
	}
	return cause
}

func (p *push) backupPath() string { return p.db.Path() + "~" }

// keepBackup gives the old file its backup name.
func (r *replacement) keepBackup() error {
	if !r.opts.Backup || r.undo == "" {
		return nil
	}
	undo := r.undo
	r.undo = ""
	return r.nameBackup(undo)
}

// nameBackup renames what holds the old database to its backup name.
func (p *push) nameBackup(undo string) error {
	path := p.backupPath()
	fail := func(err error) error {
		p.report.BackupPath = undo
		return &failure{text: "swapped, but the old database could not be renamed to its backup name", cause: err, hint: "it is kept as " + undo}
	}
	// An older backup that somebody opened may have left a WAL, which would be
	// replayed into this one.
	for _, suffix := range sidecarSuffixes {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fail(err)
		}
	}
	if err := os.Rename(undo, path); err != nil {
		return fail(err)
	}
	p.report.BackupPath = path
	if err := p.syncDir(); err != nil {
		return &failure{text: "swapped, but the backup's name may not survive a power loss", cause: err, kinds: []error{ErrDurabilityUnknown}}
	}
	return nil
}

// cleanUp runs with the gate open again: to free the blocks of a large file
// takes time. It removes the second name, which is the old file's only one if
// the swap was made.
func (r *replacement) cleanUp() (err error) {
	if r.undo != "" && r.report.Swapped {
		err = os.Remove(r.undo)
		if err != nil {
			err = failed("remove the replaced file", err)
		}
	}
	if r.guard != nil && r.report.Swapped {
		r.guard.lift(r.opts.Backup, func() {
			r.log.Warn().Str("database", r.target.path).Msg("somebody opened the replaced file in the moment of the swap: SQLite tells them it is busy until they open the database anew")
		})
	}
	return err
}

// abandon runs before the thaw of a replacement that was not made: the old file
// is live, and our descriptor of it must be gone before a connection opens it.
func (r *replacement) abandon() error {
	var err error
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

func human(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
