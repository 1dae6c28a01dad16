package swapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/printable"
	"hotswap/internal/snapshot"
	"hotswap/internal/statetag"
	"hotswap/internal/transfer"
)

// Pull writes a consistent snapshot of the live database to dst, while reads and writes
// go on. It first copies the database, under one read transaction, to a file beside it,
// which takes its size on that disk, and then sends that file: a slow dst holds nothing
// up. In WAL mode writers don't wait; with a rollback journal they wait while it copies,
// whatever their busy timeout. On Linux it is copied as the file system copies a file;
// elsewhere, and where that can't be, by SQLite's backup API.
//
// If the database's file was removed, or something that is not a database was put at its
// path, the copy is of the file that the program still has open, by one of its own
// connections: calls on that one wait meanwhile.
//
// A copy of a damaged database is damaged, too, which goes unnoticed unless opts.Check
// is set.
//
// The error is an *Error, which wraps those sentinel errors of this package that tell
// its kind. The bytes that were written before an error are not a database. Cancelling
// ctx stops the pull, except within a Write of dst.
//
// Pulls may run at once, also of one database. One that begins while calls wait at the
// gate waits, too.
func Pull(ctx context.Context, db *driver.Database, dst io.Writer, opts PullOptions) (Report, error) {
	if err := supported("pull from"); err != nil {
		return Report{}, err
	}
	defer inside.Of(db).Keep()()
	p := &pull{db: db, opts: opts, events: newEvents(db, opts.Logger, opts.Notify)}
	defer p.events.end()
	p.report = Report{Source: db.Path(), Target: opts.Dest, GenerationBefore: db.Generation()}
	p.report.Generation = p.report.GenerationBefore
	p.events.step(StepPullStarted, fmt.Sprintf("pull started: %s to %s", printable.Line(db.Path()), printable.Line(opts.Dest)),
		map[string]any{fieldSource: db.Path(), fieldTarget: opts.Dest})
	err := p.run(ctx, dst)
	p.report.Phases = p.phases.end()
	if err != nil {
		e := &Error{Op: "pull from", Path: db.Path(), Err: err, Hint: printable.Path(hintOf(err), db.Path())}
		p.events.failed(StepPullFailed, e, nil)
		return p.report, e
	}
	p.events.step(StepPullComplete, fmt.Sprintf("pull complete: %d bytes", p.report.Bytes), map[string]any{fieldBytes: p.report.Bytes})
	return p.report, nil
}

func (p *pull) run(ctx context.Context, dst io.Writer) error {
	what, err := p.notServed(ctx)
	if err != nil {
		return err
	}
	p.report.Source = p.db.Path() // a symlink may have been turned
	p.phases.begin("snapshot")
	var s *stage
	if what == "" {
		done := false
		if s, done, err = p.snapshotAt(ctx, dst); done {
			return nil
		}
	} else if err = p.mayStage(); err == nil {
		s, err = p.snapshotServed(ctx, what)
	}
	if err != nil {
		return p.noRoom(err)
	}
	held := false
	defer func() {
		if !held {
			s.discard()
		}
	}()
	p.taken(s.size)
	tag := p.startTag(ctx, func(ctx context.Context) (string, error) { return statetag.Of(ctx, s.file, s.size) })
	defer tag.stop()
	if p.opts.Check {
		if err := p.check(ctx, s); err != nil {
			return err
		}
	}
	if holder, ok := dst.(transfer.Holder); ok {
		p.report.Bytes, held = s.size, true
		holder.Hold(newHeld(s, p.db.Path()))
		return nil
	}
	if looker, ok := dst.(transfer.Looker); ok {
		return looker.Look(ctx, s.file, s.size)
	}
	p.phases.begin("send")
	if p.opts.Begin != nil {
		p.opts.Begin(s.size)
	}
	switch dst := dst.(type) {
	case transfer.FileDest:
		err = p.sendFile(ctx, s, dst)
	case transfer.PipeDest:
		err = p.sendPipe(ctx, s, dst)
	default:
		err = p.send(ctx, s, dst)
	}
	if err == nil {
		p.report.Tag, err = tag.wait()
	}
	return err
}

// snapshotAt copies the database at its path into a new stage; or, and then it is done, to
// dst itself.
func (p *pull) snapshotAt(ctx context.Context, dst io.Writer) (s *stage, done bool, err error) {
	if err := lost(p.db); err != nil {
		return nil, false, err
	}
	path := p.db.Path()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, &failure{text: "the database does not exist yet", kinds: []error{ErrNotExist},
			hint: "the program creates it on first use, and so does a push"}
	}
	if err != nil {
		return nil, false, failed("inspect the database", err)
	}
	p.events.plain(StepSnapshot)
	if looker, ok := dst.(transfer.Looker); ok {
		if err := p.look(ctx, looker); !errors.Is(err, snapshot.ErrUnable) {
			return nil, err == nil, err
		}
	}
	if file, ok := dst.(transfer.FileDest); ok && !p.opts.Check && !file.WantsDigest() && file.Beside(info) {
		if err := p.direct(ctx, file); !notDirectly(err) {
			return nil, err == nil, err
		}
	}
	if err := p.mayStage(); err != nil {
		return nil, false, err
	}
	if s, err = createStage(path, kindPull, private); err != nil {
		return nil, false, err
	}
	if err = s.reserve(0, info.Size()); err == nil {
		err = p.snapshot(ctx, s, info.Size())
	}
	if err != nil {
		s.discard()
		return nil, false, err
	}
	return s, false, nil
}

func (p *pull) mayStage() error {
	return checkDir(filepath.Dir(p.db.Path()), "a pull first copies the database to a file beside it")
}

// direct copies the database to dst, an empty file in the database's own file system:
// that is as quick as a copy beside it, and holds nothing up for longer.
func (p *pull) direct(ctx context.Context, dst transfer.FileDest) error {
	err := p.reading(ctx, func(src *sqlite3.SQLiteConn) error {
		s, err := snapshot.Of(src, p.db.Path())
		if err != nil {
			return err
		}
		if err := room(filepath.Dir(p.db.Path()), s.Size(), s.Size()); err != nil {
			return err
		}
		if err := dst.Truncate(ctx, 0); err != nil {
			return err
		}
		tag := p.startTag(ctx, func(ctx context.Context) (string, error) { return tagOf(ctx, s) })
		defer tag.stop()
		if err := s.CopyTo(ctx, dst, p.copied(s.Size())); err != nil {
			return err
		}
		p.report.Bytes = s.Size()
		p.report.Tag, err = tag.wait()
		return err
	})
	if err != nil {
		return err
	}
	p.taken(p.report.Bytes)
	if p.opts.Begin != nil {
		p.opts.Begin(p.report.Bytes)
	}
	return nil
}

// look has dst read the database as it is.
func (p *pull) look(ctx context.Context, dst transfer.Looker) error {
	return p.reading(ctx, func(src *sqlite3.SQLiteConn) error {
		s, err := snapshot.Of(src, p.db.Path())
		if err != nil {
			return err
		}
		content, err := s.Reader(ctx)
		if err != nil {
			return err
		}
		return dst.Look(ctx, content, s.Size())
	})
}

// notDirectly reports whether direct failed for want of a way, so that the snapshot is
// to be taken beside the database.
func notDirectly(err error) bool {
	return errors.Is(err, snapshot.ErrUnable) || errors.Is(err, transfer.ErrNotOpened)
}

func (p *pull) taken(size int64) {
	p.events.step(StepSnapshotDone, fmt.Sprintf("snapshot taken: %d bytes", size), map[string]any{fieldBytes: size})
}

// check refuses to send a damaged copy.
func (p *pull) check(ctx context.Context, s *stage) error {
	p.phases.begin("check")
	p.events.plain(StepIntegrity)
	what := integrity{subject: "the live database", quick: p.opts.Quick, skipConstraints: p.opts.SkipConstraintCheck}
	if err := s.checkIntegrity(ctx, p.db, what); err != nil {
		return err
	}
	p.events.plain(StepIntegrityPassed)
	return nil
}
