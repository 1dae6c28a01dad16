package swapper

import (
	"context"
	"slices"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/livefile"
	"hotswap/internal/openers"
)

// With a rollback journal a transaction shuts readers out from when it begins to write
// into the file: as it commits, from its BEGIN EXCLUSIVE on, or once it has changed more
// than its cache holds. SQLite then tells a push or a pull that the database is locked,
// but not by whom.

// visitLocked is the end of a visit that SQLite has kept out, with busy, until the
// push's timeout. If the program did, it is as with any other hold: if the push
// is forced, what holds the lock is interrupted, and fn runs while the gate is closed;
// else the error names it. A dry run interrupts nothing.
func (p *push) visitLocked(ctx context.Context, fn func(*live) error, busy error, waited time.Duration) error {
	if inVain := exclusive(p.db); inVain != nil {
		return inVain
	}
	if f := lockedElsewhere(p.db); f != nil {
		return f
	}
	holders := lockers(p.db, p.writers)
	switch {
	case len(holders) == 0:
		return busy
	case p.opts.Force && !p.opts.DryRun:
		return p.visitForced(ctx, fn)
	}
	p.report.Holders = holders
	f := lockedBy(p.db, busy, holders, waited)
	switch {
	case p.opts.DryRun && p.opts.Force:
		f.hint = "try again, or wait longer with --timeout: a dry run interrupts nothing"
	case p.opts.DryRun:
		f.hint = "try again, or wait longer with --timeout; a push, but not a dry run, ends the holders with --force"
	default:
		f.hint = "try again, wait longer with --timeout, or end the holders with --force"
	}
	return f
}

// visitForced runs fn while the gate is closed.
func (p *push) visitForced(ctx context.Context, fn func(*live) error) error {
	frozen, err := p.freezeForced(ctx)
	if err != nil {
		return err
	}
	defer p.thaw(frozen)
	return p.withLive(ctx, lockWait*time.Millisecond, fn)
}

// interrupt ends what the program holds.
func (p *push) interrupt(ctx context.Context) error {
	frozen, err := p.freezeForced(ctx)
	if err != nil {
		return err
	}
	p.thaw(frozen)
	return nil
}

// freezeForced freezes the database at once, for which all is interrupted that the
// program holds, and its peers.
func (p *push) freezeForced(ctx context.Context) (*driver.Frozen, error) {
	opts := inside.Extend(driver.FreezeOptions{
		MaxPause: p.opts.MaxPause, Force: true, Peers: true, Logger: &p.opts.Logger, Notify: p.freezeStep,
	}, inside.FreezeOptions{InPlace: true})
	frozen, err := p.freezePatiently(ctx, opts, quietPause)
	if err != nil {
		return nil, p.freezeFailed(err)
	}
	p.forced = append(p.forced, frozen.Holders...)
	p.report.Connections, p.report.Attempts, p.report.Holders = frozen.Connections, frozen.Attempts, slices.Clone(p.forced)
	return frozen, nil
}

// locked is the error of a pull that another process or the program's own transactions
// kept out; nil if neither is seen to.
func (p *pull) locked(ctx context.Context, busy error, waited time.Duration) error {
	if f := lockedElsewhere(p.db); f != nil {
		f.hint = "let it end its transaction and try again"
		return f
	}
	var writers []driver.Holder
	// Only with writes waiting does it show which transactions there are.
	if quiet, err := quieten(ctx, p.db, time.Millisecond); err == nil {
		writers = quiet.Holders
		quiet.Thaw()
	}
	holders := lockers(p.db, writers)
	if len(holders) == 0 {
		return nil
	}
	p.report.Holders = holders
	f := lockedBy(p.db, busy, holders, waited)
	f.hint = "end that and try again"
	return f
}

// lockers returns what of the program's has the file locked, most likely: its
// transactions, but for those that wait for the lock themselves; and if there are none,
// whatever it is at, unless another database that has this one attached may have locked
// it. It returns none in WAL mode, where no transaction shuts readers out.
func lockers(db *driver.Database, writers []driver.Holder) []driver.Holder {
	if livefile.JournalMode(db.Path()) == "wal" {
		return nil
	}
	holders := slices.Clone(writers)
	if len(holders) == 0 && len(db.Attachers()) == 0 {
		holders = db.Holders()
	}
	return slices.DeleteFunc(holders, waitsItself)
}

// lockedElsewhere is the error of a database that another process keeps locked; nil if
// none is seen to. The program's own calls wait for that process then, and to interrupt
// them would not help. One that only reads now and then is no such process, nor is a peer
// that has one of the holders: that is waited for, and interrupted, as the program is.
func lockedElsewhere(db *driver.Database, holders ...driver.Holder) *failure {
	f := lockedNow(db, holders...)
	for look := 1; f != nil && look < lockLooks; look++ {
		time.Sleep(lockLookEvery)
		f = lockedNow(db, holders...)
	}
	return f
}

const (
	lockLooks     = 5
	lockLookEvery = 10 * time.Millisecond
)

// lockedNow is lockedElsewhere of this moment.
func lockedNow(db *driver.Database, holders ...driver.Holder) *failure {
	by, locked := openers.LockedElsewhere(db.Path(), livefile.JournalMode(db.Path()) == "wal")
	if !locked || slices.ContainsFunc(holders, func(h driver.Holder) bool { return h.Program != "" && h.PID == by.PID }) {
		return nil
	}
	return &failure{text: by.String() + " has the live database locked", kinds: []error{ErrBusy},
		hint: "let it end its transaction and try again, or wait longer with --timeout"}
}

// lockedBy is the error of a database that these have locked.
func lockedBy(db *driver.Database, busy error, holders []driver.Holder, waited time.Duration) *failure {
	return &failure{
		text:  "the live database can't be read",
		cause: &lockedError{&driver.HeldError{Path: db.Path(), Waited: waited, Attempts: 1, Holders: holders}, busy},
		kinds: []error{ErrBusy},
	}
}

// lockedError is SQLite's word that a database is locked, and by what.
type lockedError struct {
	held *driver.HeldError
	busy error
}

func (e *lockedError) Error() string   { return e.held.Error() }
func (e *lockedError) Unwrap() []error { return []error{e.held, e.busy} }
