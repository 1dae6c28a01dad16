package swapper

import (
	"context"
	"errors"
	"slices"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/openers"
	"hotswap/internal/printable"
)

// lock gets SQLite's write lock with a first step of the copy that copies nothing; one
// that copied the only page of a source would commit, too. While another process has the
// lock, or one of the program's transactions, it tries again and again, and the
// program's writes wait only for a part of that time.
func (o *overwrite) lock(ctx context.Context) (err error) {
	defer o.push.wait()()
	deadline := time.Now().Add(o.push.attempt())
	window := 50 * time.Millisecond
	for {
		if err := o.quiet(ctx, deadline); err != nil {
			if !errors.Is(err, driver.ErrFreezing) || !anyFreezing(o.push.db.Attachers()) || time.Now().After(deadline) {
				return err
			}
			if err := sleep(ctx, freezingEvery); err != nil {
				return err
			}
			continue
		}
		locked, err := o.begin(ctx, min(window, max(time.Until(deadline), lastAttempt)))
		if locked {
			return nil
		}
		o.closeLive()
		if err == nil {
			err = o.writerElsewhere()
		} else {
			err = liveBusy("write to the live database", err)
		}
		o.openGate()
		if errors.Is(err, errJournalChanged) {
			if err := o.follow(); err != nil {
				return err
			}
		}
		late := time.Now().After(deadline)
		if late && errors.Is(err, ErrBusy) && ctx.Err() == nil && lockedElsewhere(o.push.db, o.frozen.Holders...) == nil && o.mayForce() {
			if err := o.push.interrupt(ctx); err != nil {
				return err
			}
			late = false
		}
		if late || ctx.Err() != nil || !errors.Is(err, ErrBusy) {
			return errors.Join(ctx.Err(), err)
		}
		select {
		case <-time.After(min(2*window, time.Until(deadline))):
		case <-ctx.Done():
		}
		window = min(2*window, o.push.opts.maxPause())
	}
}

// mayForce reports, once, whether transactions of the program's are to be interrupted
// that have the write lock in WAL mode, where the freeze leaves them alone.
func (o *overwrite) mayForce() bool {
	if o.forced || !o.push.opts.Force || !o.push.wal || !slices.ContainsFunc(o.frozen.Holders, func(h driver.Holder) bool { return !waitsItself(h) }) {
		return false
	}
	o.forced = true
	return true
}

// quiet keeps the program out of the copy's way.
func (o *overwrite) quiet(ctx context.Context, deadline time.Time) (err error) {
	opts := inside.Extend(driver.FreezeOptions{
		MaxPause: o.push.opts.MaxPause, Force: o.push.opts.Force,
		Peers:  true,
		Logger: &o.push.opts.Logger, Notify: o.push.freezeStep,
	}, inside.FreezeOptions{
		InPlace: true, WritesOnly: o.push.wal, CloseShared: true,
		WritesWait: func() { o.push.events.plain(StepWritesWait) },
	})
	if o.push.wal {
		o.push.phases.begin("copy")
	} else {
		o.push.phases.begin("wait")
	}
	o.frozen, err = o.push.freezePatiently(ctx, opts, time.Until(deadline))
	if err != nil {
		return o.push.freezeFailed(err)
	}
	o.push.phases.begin("copy")
	o.push.report.Connections, o.push.report.Attempts = o.frozen.Connections, o.frozen.Attempts
	o.push.report.Holders = append(o.push.report.Holders, o.frozen.Holders...)
	if o.others, err = o.keepAttachersOut(ctx); err == nil {
		err = o.refuseUnlocked()
	}
	if err != nil {
		o.openGate()
	}
	return err
}

// openGate opens the gate again.
func (o *overwrite) openGate(opened ...func()) {
	o.push.thaw(o.frozen, append(opened, o.others.thaw)...)
}

// writerElsewhere is the error of a write lock that can't be had.
func (o *overwrite) writerElsewhere() error {
	if f := lockedNow(o.push.db, o.frozen.Holders...); f != nil {
		return f
	}
	f := &failure{text: "something keeps the database locked for writing", kinds: []error{ErrBusy},
		hint: "let it end its transaction and try again, or wait longer with --timeout"}
	if holders := slices.DeleteFunc(slices.Clone(o.frozen.Holders), waitsItself); len(holders) > 0 { // most likely the program's own transaction
		f.cause = &driver.HeldError{Path: o.target.path, Waited: o.push.waited(), Holders: holders}
		o.push.report.Holders = holders
		if !o.push.opts.Force {
			f.hint += ", or interrupt the program's transactions with --force"
		}
	}
	if others := openers.Elsewhere(o.target.state.inode()); len(others) > 0 {
		f.text += ", maybe " + joinProcesses(others)
	}
	for _, db := range o.push.db.Attachers() { // whose transactions --force leaves alone
		f.text += ", maybe a transaction of " + printable.Line(db.Path()) + ", which has it attached"
	}
	return f
}

// errJournalChanged: the program has set another journal mode since it was asked for.
var errJournalChanged = &failure{text: "the journal mode was changed meanwhile", kinds: []error{ErrBusy}, hint: "try again"}

// follow makes the stage be of the journal mode that the database has now.
func (o *overwrite) follow() error {
	o.push.wal = !o.push.wal
	return o.openSource()
}

// begin opens our connection, which does not exist while the gate is open, and takes the
// write lock.
func (o *overwrite) begin(ctx context.Context, window time.Duration) (locked bool, err error) {
	l, err := openLive(ctx, o.push.db, window)
	if err != nil {
		if busyElsewhere(err) {
			err = nil
		}
		return false, err
	}
	if err := o.open(ctx, l); err != nil {
		return false, err
	}
	if l.wal != o.push.wal {
		return false, errJournalChanged
	}
	if _, _, err := o.fits(); err != nil {
		return false, err
	}
	if o.cookie, err = queryInt(o.dst, "PRAGMA schema_version"); err != nil {
		return false, err
	}
	if !o.push.wal {
		// The copy's first step would shut out the reader of the old content, too.
		// In this mode a connection keeps its locks from one transaction to the
		// next (https://www.sqlite.org/pragma.html#pragma_locking_mode): the shared
		// one of a try that failed, too, which would keep the writer that it waits
		// for from its commit. So the mode is set once the lock is had.
		if _, err := o.dst.Exec("BEGIN EXCLUSIVE; PRAGMA locking_mode=EXCLUSIVE; COMMIT", nil); err != nil {
			if busyElsewhere(err) {
				err = nil
			}
			return false, err
		}
		return true, nil
	}
	return o.beginCopy()
}

func (o *overwrite) beginCopy() (locked bool, err error) {
	if o.copy, err = o.dst.Backup("main", o.src, "main"); err != nil {
		return false, err
	}
	_, err = o.copy.Step(0)
	// A step that finds the database locked is no error, and has not even
	// learned the source's size.
	if err == nil && o.copy.PageCount() > 0 {
		return true, nil
	}
	if endErr := o.rollback(); !busyElsewhere(endErr) {
		err = errors.Join(err, endErr)
	}
	return false, err
}

// rollback ends the copy, and undoes what it has not committed.
func (o *overwrite) rollback() error {
	if o.copy == nil {
		return nil
	}
	c := o.copy
	o.copy = nil
	return c.Close()
}

// unlock gives the write lock back. If it fails, closing the connection does.
func (o *overwrite) unlock() {
	if o.conn == nil {
		return
	}
	if !o.push.wal {
		o.dst.Exec("PRAGMA locking_mode=NORMAL; PRAGMA schema_version", nil)
	}
}
