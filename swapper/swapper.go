package swapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"hotswap/driver"
	"hotswap/internal/livefile"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/transfer"
)

// Push replaces the live database with the one that src yields. Unless it
// returns an error the new database is live and durable, and can be opened.
//
// The error is an *Error, and a kind of this package's sentinel errors. With
// Report.Swapped false the live database is as it was. With it true (then the
// error is ErrDurabilityUnknown, or says what of the cleaning up failed) the
// new one is live. Cancelling ctx stops the push until the rename, not after.
//
// src is read to its end. It must return an error, not io.EOF, if it was truncated.
//
// On Windows, where no database is managed, Push and Pull fail with
// errors.ErrUnsupported.
func Push(ctx context.Context, db *driver.Database, src io.Reader, opts PushOptions) (Report, error) {
	if err := supported("push to"); err != nil {
		return Report{}, err
	}
	defer db.Keep()() // its last pool may be closed meanwhile, and another one opened
	p := &push{operation: newOperation(db, opts.Logger, opts.Notify), opts: opts}
	defer p.end()
	p.report.Source, p.report.Target = opts.Source, db.Path()
	p.report.DryRun = opts.DryRun
	p.step(StepPushStarted, fmt.Sprintf("push started: %s to %s", printable.Line(opts.Source), printable.Line(db.Path())),
		map[string]any{fieldSource: opts.Source, fieldTarget: db.Path()})
	err := p.overtaken(p.run(ctx, src))
	p.phase("")
	if err != nil {
		return p.report, p.fail(err)
	}
	text := "push complete"
	if opts.DryRun {
		text = "dry run complete: nothing replaced"
	}
	p.step(StepPushComplete, text, map[string]any{fieldBytes: p.report.Bytes, fieldDigest: p.report.SHA256,
		fieldPause: p.report.Pause, "generation": p.report.Generation})
	return p.report, nil
}

// push is one Push.
type push struct {
	*operation
	opts   PushOptions
	target *target
	stage  *stage
	dir    *os.File // the target's, opened before any call waits
	wal    bool     // the live database is in WAL mode
	unread error    // why the live database can't be read; nil if it can
	asides []string // of its sidecars, which were set aside

	readable bool // the live file is a database

	waited time.Duration // of the timeout, which all waits of the push share

	wantLease bool // to rename without one would be a risk
}

// run is the whole operation. What each step of the replacement leaves if the
// process dies there is said in replace.go.
func (p *push) run(ctx context.Context, src io.Reader) error {
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
	if err := p.look(ctx); err != nil {
		return err
	}
	if p.dir, err = os.Open(p.target.dir); err != nil {
		return failed("open the target's directory", err)
	}
	defer p.dir.Close()
	defer func() {
		if p.stage != nil {
			p.stage.discard() // a no-op once it is the live database
		}
	}()
	if err := p.receive(ctx, src); err != nil {
		return err
	}
	if err := p.readLive(ctx); err != nil {
		return err
	}
	if err := p.check(ctx); err != nil {
		return err
	}
	if err := p.rehearse(ctx); err != nil {
		return err
	}
	err = p.byRename(ctx)
	if why := errInPlace(err); why != nil && p.opts.method() != MethodRename {
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
	if err := p.adopt(ctx); err != nil {
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
	r := &replacement{push: p}
	defer r.openDoor() // a no-op by then, as well
	if err == nil {
		err = r.run(ctx)
	}
	if !p.report.Swapped {
		err = errors.Join(err, r.abandon(), r.putBack())
	}
	r.openDoor()
	p.thaw(frozen, others.thaw)
	return errors.Join(err, r.cleanUp(), r.keepAside())
}

// look inspects the target, rid of what a killed push left there.
func (p *push) look(ctx context.Context) (err error) {
	if err := p.db.CheckFile(ctx); err != nil {
		return strange(err)
	}
	p.report.Target = p.db.Path() // a symlink may have been turned
	if err := checkDir(filepath.Dir(p.db.Path()), "a push puts the new file beside the live one"); err != nil {
		return err
	}
	orphans, err := RemoveOrphans(p.db.Path())
	orphans.Log(p.log, p.db.Path())
	if err != nil {
		return failed("remove what an interrupted push left", err)
	}
	if err := p.findTarget(ctx); err != nil {
		return err
	}
	if p.target.exists {
		if err := lost(p.db); err != nil {
			return err
		}
	}
	if p.opts.Backup {
		if info, err := os.Lstat(p.backupPath()); err == nil && !info.Mode().IsRegular() {
			return &failure{text: fmt.Sprintf("%s, where the backup goes, is %s", p.backupPath(), sqlitefile.KindOf(info.Mode())), kinds: []error{ErrTarget},
				hint: "move it away, or push without --backup"}
		}
	}
	if p.opts.method() == MethodRename {
		return p.nobodyElsewhere() // before the upload
	}
	return nil
}

// findTarget inspects the file that the program's connections have open. One that
// somebody puts there between two looks must be theirs first, with a generation of
// its own: a push replaces no file that nobody knows.
func (p *push) findTarget(ctx context.Context) (err error) {
	for range 10 {
		generation := p.db.Generation()
		if p.target, err = inspect(p.db.Path()); err != nil {
			return err
		}
		p.target.leads = p.db.LeadsTo
		if err := p.db.CheckFile(ctx); err != nil {
			return strange(err)
		}
		if p.db.Generation() == generation {
			return nil
		}
	}
	return &failure{text: "the live file is replaced by somebody else again and again", kinds: []error{ErrBusy}, hint: "see who does, and try again"}
}

func (p *push) receive(ctx context.Context, src io.Reader) (err error) {
	p.phase("receive")
	mode := fs.FileMode(private)
	if !p.target.exists {
		mode = 0o644 // what SQLite makes its files with
	}
	if p.stage, err = createStage(p.target.path, kindStage, mode); err != nil {
		return err
	}
	if p.inPlaceAhead() {
		p.stage.after = 1 // the WAL, or the journal
		if p.opts.Backup {
			p.stage.besides = p.target.state.size
		}
	}
	received := func(n int64) {
		p.progress(StepReceiving, fmt.Sprintf("received %d bytes", n), n, p.opts.Size)
	}
	if file, ok := src.(transfer.FileSource); ok {
		p.report.SHA256, err = p.stage.receiveFile(ctx, file, p.opts, received)
	} else {
		p.report.SHA256, err = p.stage.receive(ctx, src, p.opts, received)
	}
	p.report.Bytes = p.stage.size
	if err != nil {
		return err
	}
	p.step(StepReceived, fmt.Sprintf("received %d bytes", p.stage.size), map[string]any{fieldBytes: p.stage.size})
	return nil
}

// check refuses what should not become the live database.
func (p *push) check(ctx context.Context) error {
	p.phase("check")
	head, err := sqlitefile.ReadHeader(p.stage.file)
	if err != nil {
		return failed("read the stage's header", err)
	}
	if err := checkLength(head, p.stage.size); err != nil {
		return err
	}
	if p.opts.Prepare != nil {
		if err := p.stage.prepare(ctx, p.db, p.opts.Prepare); err != nil {
			return err
		}
	}
	if !p.opts.SkipIntegrityCheck {
		p.step(StepIntegrity, string(StepIntegrity), nil)
		what := integrity{subject: "the source", quick: p.opts.Quick, skipConstraints: p.opts.SkipConstraintCheck}
		if err := p.stage.checkIntegrity(ctx, p.db, what); err != nil {
			return err
		}
		p.step(StepIntegrityPassed, string(StepIntegrityPassed), nil)
	}
	pool, err := p.stage.openReadOnly(ctx, p.db)
	if err != nil {
		return err
	}
	defer pool.Close()
	// Read in any case: what has no readable schema is no database.
	staged, err := readSchema(ctx, pool)
	if err != nil {
		return badIfCorrupt(ctx, "read the source's schema", "the source's schema can't be read", err)
	}
	if !p.opts.SkipSchemaCheck && !p.target.empty() {
		p.step(StepSchema, string(StepSchema), nil)
		if err := p.compareSchema(ctx, staged); err != nil {
			return err
		}
		p.step(StepSchemaPassed, string(StepSchemaPassed), nil)
	}
	if p.opts.Validate != nil {
		p.step(StepValidate, string(StepValidate), nil)
		if err := validate(ctx, pool, p.opts.Validate); err != nil {
			return err
		}
		p.step(StepValidatePassed, string(StepValidatePassed), nil)
	}
	if err := pool.Close(); err != nil {
		return failed("close the stage", err)
	}
	return p.stage.assertAlone()
}

func (p *push) compareSchema(ctx context.Context, staged schema) error {
	if !p.readable {
		return p.errUnread("there is no schema to compare with")
	}
	var liveSchema schema
	err := p.visit(ctx, func(l *live) (err error) {
		liveSchema, err = readSchema(ctx, l.pool)
		return err
	})
	if unreadable(err) {
		p.notRead(err)
		return p.errUnread("there is no schema to compare with")
	}
	if err != nil {
		return liveBusy("read the live database's schema", err)
	}
	if len(liveSchema) == 0 {
		return nil // the program has made nothing yet that could be missed
	}
	return liveSchema.compare(staged)
}

// adopt makes the stage what the live file is but for its content, and makes
// it durable. No connection may be open on it from here on: one would be
// carried over to the live path by the rename.
func (p *push) adopt(ctx context.Context) error {
	p.phase("sync")
	if p.target.exists {
		if p.readable {
			if err := sqlitefile.SetJournal(p.stage.file, p.wal); err != nil {
				return failed("keep the journal mode", err)
			}
		} else if mode := livefile.JournalMode(p.target.path); mode != "" {
			if err := sqlitefile.SetJournal(p.stage.file, mode == "wal"); err != nil {
				return failed("keep the journal mode", err)
			}
		}
		state, err := p.target.still()
		if err == nil {
			err = p.target.oneName(state)
		}
		if err == nil {
			err = p.stage.adopt(p.target)
		}
		if err != nil {
			return err
		}
	}
	if err := p.stage.rehearse(ctx, p.db); err != nil {
		return err
	}
	if err := p.stage.file.Sync(); err != nil {
		return failed("fsync the stage", err)
	}
	p.report.stamp = livefile.StampOf(p.stage.file)
	if err := p.stage.assertAlone(); err != nil || !p.target.exists || p.opts.DryRun {
		return err
	}
	return p.nameUndo()
}

// gone reports whether nothing is at the target any more.
func (p *push) gone() bool {
	_, err := os.Lstat(p.target.path)
	return errors.Is(err, os.ErrNotExist)
}

// fail makes the error of the whole operation: with it goes how the live
// database is now.
func (p *push) fail(err error) error {
	e := &Error{Op: "push to", Path: p.db.Path(), Err: err, Hint: "the live database is unchanged"}
	switch {
	case p.report.Swapped:
		e.Hint = "the new database IS live"
	case errors.Is(err, ErrOutcomeUnknown):
		e.Hint = "the live database has its old content or the new one, whole"
	case p.target != nil && p.target.exists && p.gone():
		e.Hint = "the live file was removed or moved away by somebody meanwhile, and the push changed nothing"
	}
	if h := hintOf(err); h != "" {
		e.Hint += ": " + h
	}
	e.Hint = printable.Path(e.Hint, p.db.Path())
	p.failed(StepPushFailed, e, map[string]any{"swapped": p.report.Swapped})
	return e
}
