package swapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"hotswap/internal/inside"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
)

// rehearse opens the new database as the program's own connections will, so that a push
// after which the program could not open them is refused, with the program's own error,
// before any call waits. For a program whose connections have neither a hook nor
// extensions, nor settings made by SQL text, stage.tryOpen is enough.
//
// At first the stage is opened read-only, which costs no more than the hook does. A hook
// that writes fails there, and only a copy shows whether it works: one is made then, for
// this alone, by sharing blocks where the file system can. So no hook can change what is
// pushed, or keep it open.
func (p *push) rehearse(ctx context.Context) error {
	if p.opts.SkipRehearsal {
		return nil
	}
	if err := p.fitsAttachers(ctx); err != nil {
		return err
	}
	if !inside.Of(p.db).NeedsRehearsal() {
		return nil
	}
	p.phases.begin("rehearse")
	p.events.plain(StepRehearsal)
	bounded, cancel := context.WithTimeout(ctx, p.opts.hookTimeout())
	defer cancel()
	err := inside.Of(p.db).Rehearse(bounded, p.stage.path, true)
	if err != nil && bounded.Err() == nil {
		err = p.rehearseOnCopy(bounded)
	}
	if err != nil {
		return p.rehearsalFailed(ctx, bounded, err)
	}
	p.events.plain(StepRehearsalPassed)
	return p.stage.assertAlone()
}

func (p *push) rehearseOnCopy(ctx context.Context) error {
	if len(filepath.Base(p.stage.path)+sqlitefile.Sidecars[0]) > longestName {
		return nil // nor could a connection open it there
	}
	throwaway, err := createStage(p.target.path, kindStage, private)
	if err != nil {
		return err
	}
	defer throwaway.discard()
	throwaway.urgent = p.stage.urgent
	if err := p.stage.copyTo(ctx, throwaway); err != nil {
		return err
	}
	if p.readable {
		if err := sqlitefile.SetJournal(throwaway.file, p.wal); err != nil {
			return failed("keep the journal mode", err)
		}
	}
	return inside.Of(p.db).Rehearse(ctx, throwaway.path, false)
}

// copyTo makes a copy of the stage in another one, which is empty.
func (s *stage) copyTo(ctx context.Context, other *stage) error {
	if reflink(other.file, s.file) {
		return nil
	}
	if err := other.reserve(0, s.size); err != nil {
		var f *failure
		if errors.As(err, &f) && errors.Is(err, ErrNoSpace) {
			f.text = "no room for a copy of the new database, to try the program's connect hook on: " + f.text
			f.hint += ", or push with --skip-rehearsal"
		}
		return err
	}
	src, err := os.Open(s.path)
	if err != nil {
		return failed("copy the stage", err)
	}
	defer src.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if n, err := io.CopyN(other.file, src, fileChunk); err == io.EOF {
			return nil
		} else if err != nil {
			return failed(fmt.Sprintf("copy the stage, after %d bytes", n), err)
		}
	}
}

const rehearsalHint = "push a database that the program can open, or fix what fails in the program (DETACH a missing file, say); to push anyway: --skip-rehearsal"

func (p *push) rehearsalFailed(ctx, bounded context.Context, err error) error {
	var failing *inside.RehearsalError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.As(err, &failing):
		return err
	case bounded.Err() != nil && errors.Is(err, bounded.Err()):
		return hangs(failing.What, p.opts.hookTimeout())
	}
	kind := ErrBadDatabase
	if busyElsewhere(err) {
		kind = ErrBusy
	}
	return &failure{text: "the program could not open its connections to the new database", cause: failing, kinds: []error{kind}, hint: rehearsalHint}
}

// fitsAttachers refuses another text encoding than the live database's if other
// databases' connections have it attached: SQLite would not let them any more.
func (p *push) fitsAttachers(ctx context.Context) error {
	others := p.db.Attachers()
	if len(others) == 0 || !p.readable || p.target.empty() {
		return nil
	}
	var encoding string
	err := p.visit(ctx, func(l *live) error { return l.pool.QueryRowContext(ctx, "PRAGMA encoding").Scan(&encoding) })
	if err != nil {
		return liveBusy("read the live database's text encoding", err)
	}
	head, err := sqlitefile.ReadHeader(p.stage.file)
	if err != nil {
		return failed("read the stage's header", err)
	}
	encodings := map[uint32]string{0: encoding, 1: "UTF-8", 2: "UTF-16le", 3: "UTF-16be"}
	if new := encodings[head.Encoding]; new != encoding {
		return bad(rehearsalHint, "%s could not attach the new database: its text encoding is %s, and an attached database must have the main one's, %s", printable.Line(others[0].Path()), new, encoding)
	}
	return nil
}
