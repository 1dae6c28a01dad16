package swapper

import (
	"context"
	"errors"
	"fmt"
	"io"

	"hotswap/driver"
	"hotswap/internal/fileid"
	"hotswap/internal/inside"
	"hotswap/internal/printable"
)

// Push replaces the live database with the one that src yields. When it returns
// without an error the new database is live and durable, and can be opened.
//
// The error is an *Error, which wraps those sentinel errors of this package that tell
// its kind. If Report.Swapped is false the live database is as it was. If it is true
// the new one is live, and the error is an ErrDurabilityUnknown or says which part of
// the cleaning up failed. The one exception is ErrOutcomeUnknown, with which either may
// be live. Cancelling ctx stops the push until the new database is live, not after; over
// a file that was removed, only until its connections are closed.
//
// src is read to its end. It must return an error, not io.EOF, if it was truncated.
//
// Pushes of one database don't queue: while one is in progress another gets ErrBusy.
// Those of different databases may run at once, and so may pulls, for whose copying a
// push waits.
//
// On Windows, where no database is managed, Push and Pull fail with
// errors.ErrUnsupported.
func Push(ctx context.Context, db *driver.Database, src io.Reader, opts PushOptions) (Report, error) {
	if err := supported("push to"); err != nil {
		return Report{}, err
	}
	return newPush(db, opts).do(ctx, func(p *push) error {
		return p.run(ctx, func() error { return p.receive(ctx, src) }, p.swap)
	})
}

func newPush(db *driver.Database, opts PushOptions) *push {
	return &push{db: db, opts: opts, patience: patience{timeout: opts.timeout()}}
}

// do runs a push, with its first line and its last.
func (p *push) do(ctx context.Context, run func(*push) error) (Report, error) {
	defer inside.Of(p.db).Keep()() // its last pool may be closed meanwhile, and another one opened
	p.events = newEvents(p.db, p.opts.Logger, p.opts.Notify)
	defer p.events.end()
	p.report = Report{Source: p.opts.Source, Target: p.db.Path(), DryRun: p.opts.DryRun, GenerationBefore: p.db.Generation()}
	p.report.Generation = p.report.GenerationBefore
	p.events.step(StepPushStarted, fmt.Sprintf("push started: %s to %s", printable.Line(p.opts.Source), printable.Line(p.db.Path())),
		map[string]any{fieldSource: p.opts.Source, fieldTarget: p.db.Path()})
	err := p.overtaken(run(p))
	p.report.Phases = p.phases.end()
	if err != nil {
		return p.report, p.fail(err)
	}
	step, text := StepPushComplete, "push complete"
	switch {
	case p.opts.DryRun:
		text = "dry run complete: nothing replaced"
	case !p.report.Swapped:
		step, text = StepStaged, fmt.Sprintf("staged: %d bytes, checked, wait beside the live database", p.report.Bytes)
	}
	p.events.step(step, text, map[string]any{fieldBytes: p.report.Bytes, fieldDigest: p.report.SHA256,
		fieldPause: p.report.Pause, "generation": p.report.Generation})
	return p.report, nil
}

// run is the whole operation, up to what is done with a stage that has passed the checks:
// as a rule swap. What each step of the replacement leaves if the process dies there is
// said in replace.go.
func (p *push) run(ctx context.Context, receive func() error, finish func(context.Context) error) error {
	release, err := claim(p.db, p.opts.Source)
	if err != nil {
		return err
	}
	defer release()
	switch p.opts.method() {
	case MethodAuto, MethodRename, MethodInPlace:
	default:
		return &failure{text: fmt.Sprintf("there is no method %q", p.opts.Method), kinds: []error{ErrTarget}, hint: "the methods are auto, rename and in-place"}
	}
	if err := p.inspect(ctx); err != nil {
		return err
	}
	unclaim, err := p.claimFile()
	if err != nil {
		return err
	}
	defer unclaim()
	if err := p.target.openDir(); err != nil { // before any call waits
		return err
	}
	defer p.target.closeDir()
	if p.condition, err = newCondition(p); err != nil {
		return err
	}
	defer p.condition.close()
	if err := p.condition.prove(ctx); err != nil { // before the upload
		return err
	}
	defer func() {
		if p.retake != nil {
			p.retake(p)
		}
		if p.stage != nil {
			p.stage.discard() // a no-op once it is the live database
		}
	}()
	if err := receive(); err != nil {
		return err
	}
	if err := p.readLive(ctx); err != nil {
		return err
	}
	p.warnOfOlderSQLite()
	if err := p.check(ctx); err != nil {
		return err
	}
	if err := p.rehearse(ctx); err != nil {
		return err
	}
	return finish(ctx)
}

// swap makes the stage the live database, unless this is a dry run.
func (p *push) swap(ctx context.Context) error {
	if p.opts.BeforeSwap != nil && !p.opts.DryRun {
		p.opts.BeforeSwap()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for try := 1; ; try++ {
		if err := p.condition.prove(ctx); err != nil {
			return err
		}
		if err := p.goLive(ctx); !errors.Is(err, errDisturbed) || try == conditionTries {
			return err
		}
	}
}

// goLive makes the stage the live database.
func (p *push) goLive(ctx context.Context) error {
	err := p.byRename(ctx)
	if why := errInPlace(err); why != nil && p.target.exists && p.opts.method() != MethodRename {
		return p.inPlace(ctx, why)
	}
	return err
}

// byRename replaces the live file. Of an error that errInPlace knows, nothing
// has happened, and the gate is open.
func (p *push) byRename(ctx context.Context) error {
	if err := p.mayRename(); err != nil {
		return err
	}
	p.rest = newRest(p)
	defer p.endRest()
	if err := p.seal(ctx); err != nil {
		return err
	}
	if p.opts.DryRun {
		p.report.Method = MethodRename
		return nil
	}
	frozen, others, err := p.freezeAll(ctx)
	if frozen == nil {
		return err
	}
	defer frozen.Thaw() // a no-op by then, unless something panics
	defer others.thaw()
	r := &replacement{push: p, target: p.target, stage: p.stage}
	defer r.openDoor() // a no-op by then, as well
	defer p.releaseRemoved()
	if p.removed.closed {
		ctx = context.WithoutCancel(ctx) // what it held can't be opened again: now to go on is the safe way
	}
	if err == nil {
		err = r.run(ctx)
	}
	if !p.report.Swapped {
		err = errors.Join(err, r.abandon(), r.putBack(), p.restoreRemoved())
	}
	r.openDoor()
	p.thaw(frozen, others.thaw)
	return errors.Join(err, r.cleanUp(), r.keepAside(), p.nameKept())
}

// fail makes the error of the whole operation: with it goes how the live
// database is now.
func (p *push) fail(err error) error {
	e := &Error{Op: "push to", Path: p.db.Path(), Err: err, Hint: "the live database is unchanged"}
	switch {
	case p.report.Swapped:
		e.Hint = "the new database IS live"
	case errors.Is(err, ErrOutcomeUnknown):
		e.Hint = "the live database is the old one or the new one, whole"
	case p.target != nil && p.target.exists && p.gone():
		e.Hint = "something else removed or moved the live file meanwhile; the push changed nothing"
	}
	if !p.report.Swapped && p.removed.file != fileid.None {
		e.Hint = p.stateOfRemoved()
	}
	if h := hintOf(err); h != "" {
		e.Hint += ": " + h
	}
	e.Hint = printable.Path(e.Hint, p.db.Path())
	p.events.failed(StepPushFailed, e, map[string]any{"swapped": p.report.Swapped})
	return e
}
