package swapper

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"hotswap/internal/sqlitefile"
)

// takePlace makes the new file the live one, and looks at what it has replaced: only
// that was atomic, and what is seen before may not be so any more. If that is not
// the very file that the guard is on, or if the new one can't be read, everything is
// put back. From here on nobody can open the new file until stage.release: see stage.lease.
func (r *replacement) takePlace() error {
	if !r.target.exists {
		return r.takeFreePlace()
	}
	if err := r.stillAlone(); err != nil {
		return err
	}
	r.stage.lease()
	err := exchangeNames(r.stage.path, r.target.path)
	switch {
	case err == nil:
		r.undo, r.stage.path, r.exchanged = r.stage.path, "", true
	case errors.Is(err, errors.ErrUnsupported):
		if err := r.renameOver(); err != nil {
			return err
		}
	default:
		return failed("exchange the new file and the live one", err)
	}
	r.guard.since = time.Now()
	err = r.stillAlone() // which what came after the first look does not show
	if err == nil {
		err = r.verify()
	}
	if err != nil {
		return r.giveBack(err)
	}
	r.push.report.Swapped, r.push.report.Method = true, MethodRename
	return nil
}

// stillAlone refuses to go on, or makes everything be put back, if somebody may have got
// the live file since beAlone: a process that is stopped for long loses its lease.
func (r *replacement) stillAlone() error {
	if r.guard.kept() {
		return nil
	}
	return &failure{text: "the process was stopped in the midst of the swap, for so long that others may have the live file open again", kinds: []error{ErrBusy},
		hint: "try again", inPlace: true}
}

// verify looks at what was replaced, and at what is there now. That SQLite can open
// the new file was tried before any call waited (stage.rehearse): it reads the
// schema, and of a large one that takes longer than all the rest of the pause. The
// header is read through the stage's own descriptor, since to open the live path
// and close it again would drop locks of whoever has opened it meanwhile.
func (r *replacement) verify() error {
	old, err := lookAt(r.undo)
	if err != nil {
		return failed("inspect the replaced file", err)
	}
	if err := r.target.same(old); err != nil {
		return err
	}
	if err := r.target.oneName(old); err != nil {
		return err
	}
	now, err := attributesOf(r.undo, old)
	if err != nil {
		return err
	}
	if !now.equal(r.stage.taken) { // changed while calls waited
		if err := r.stage.takeAs(r.target.path, now); err != nil {
			return err
		}
	}
	return r.probe()
}

func (r *replacement) probe() error {
	if _, err := r.stage.file.ReadAt(make([]byte, sqlitefile.HeaderSize), 0); err != nil {
		return failed("read the new database in its place", err)
	}
	return nil
}

// renameOver is the way where names can't be exchanged: the live file gets a second
// name, and the stage is renamed over the first one. A file that somebody puts there
// between the two is lost.
func (r *replacement) renameOver() error {
	undo := r.stage.path
	if err := r.stage.rename(beside{id: r.stage.id, kind: kindStage}.path(r.target.path)); err != nil {
		return failed("rename the stage", err)
	}
	if err := os.Link(r.target.path, undo); err != nil {
		return linkFailed("give the live file a second name to go back to", err)
	}
	r.undo = undo
	old, err := lookAt(undo)
	if err == nil {
		err = r.target.same(old)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(r.stage.path, r.target.path); err != nil {
		return failed("rename the stage to the target", err)
	}
	r.stage.path = ""
	return nil
}

// linkFailed sorts the error of link(2), which not every file system has.
func linkFailed(doing string, err error) error {
	for _, none := range []error{syscall.EPERM, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINVAL, syscall.EMLINK} {
		if errors.Is(err, none) {
			return &failure{text: "the file system can neither exchange two names nor give a file a second one", cause: err, kinds: []error{ErrTarget},
				hint: "push in place (--method=in-place)", inPlace: true}
		}
	}
	return failed(doing, err)
}

// takeFreePlace gives the new file a name that nobody has; a plain rename would
// replace what somebody has put there meanwhile.
func (r *replacement) takeFreePlace() error {
	err := placeFree(r.stage.path, r.target.path)
	switch {
	case errors.Is(err, os.ErrExist):
		return &failure{text: "the live database did not exist at first and does now", kinds: []error{ErrBusy}, hint: "try again"}
	case err != nil:
		return failed("rename the stage to the target", err)
	}
	r.stage.path = ""
	if err := r.probe(); err != nil {
		return r.giveBack(err)
	}
	r.push.report.Swapped, r.push.report.Method = true, MethodRename
	return nil
}

// placeFree is renameFree, or what comes closest to it.
func placeFree(from, to string) error {
	err := renameFree(from, to)
	if errors.Is(err, errors.ErrUnsupported) {
		if err = os.Link(from, to); err == nil {
			os.Remove(from)
		} else if errInPlace(linkFailed("", err)) != nil {
			// Nothing is left but to look first.
			if _, err = os.Lstat(to); err == nil {
				err = os.ErrExist
			} else if errors.Is(err, os.ErrNotExist) {
				err = os.Rename(from, to)
			}
		}
	}
	return err
}

// giveBack puts back what was there, before any call saw the new file. In the error
// is what was wrong with it.
func (r *replacement) giveBack(cause error) error {
	var err error
	switch {
	case r.undo == "":
		err = os.Remove(r.target.path)
	case r.exchanged:
		err = r.exchangeBack()
	default:
		if err = os.Rename(r.undo, r.target.path); err == nil {
			r.undo = ""
		}
	}
	if err != nil {
		return r.stuck(err, cause)
	}
	r.push.events.plain(StepSwappedBack)
	if err := r.target.syncDir(); err != nil {
		return errors.Join(cause, failed("put the old database back durably", err))
	}
	return cause
}

// exchangeBack is once more only atomic in the exchange itself: somebody may have
// put a file in the new one's place since.
func (r *replacement) exchangeBack() error {
	if err := exchangeNames(r.undo, r.target.path); err != nil {
		return err
	}
	r.stage.path, r.undo = r.undo, ""
	out, err := lookAt(r.stage.path)
	if err != nil || out.is(r.stage.state) {
		return nil
	}
	// Then theirs is the latest, and what it was meant to replace is kept.
	err = exchangeNames(r.stage.path, r.target.path)
	kept, moveErr := moveAside(r.stage.path, r.stage.id, r.target.path)
	if moveErr == nil {
		r.stage.path = ""
		r.push.events.warn("kept a file that somebody else replaced at the moment of the swap", map[string]any{"file": kept})
	}
	return errors.Join(err, moveErr)
}

// stuck is when nothing can be put back. What was replaced gets a name under which
// no recovery takes it for an orphan.
func (r *replacement) stuck(err, cause error) error {
	r.push.report.Swapped, r.push.report.Method = true, MethodRename
	r.stage.path = "" // it is live
	r.stage.release()
	f := &failure{text: "put the old database back", cause: errors.Join(err, cause)}
	if r.undo != "" {
		kept, err := moveAside(r.undo, r.stage.id, r.target.path)
		if err != nil {
			kept = r.undo
		}
		r.undo, r.push.report.BackupPath = "", kept
		f.hint = fmt.Sprintf("the old one is kept as %s: stop the program and move it to %s", kept, r.target.path)
	}
	return f
}
