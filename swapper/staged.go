package swapper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"hotswap/driver"
	"hotswap/internal/livefile"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
)

// Staged is a database that has passed a push's checks and lies, durably, beside the live
// one, on whose disk it takes room, until Swap makes it live or Discard removes it. A
// program that dies leaves it for [RemoveOrphans].
//
// Its methods may be called from any goroutine, and wait for one another.
type Staged struct {
	db     *driver.Database
	opts   PushOptions
	report Report // of Stage
	live   string // the database's path then
	over   bool   // there was something at it

	mu    sync.Mutex     // guards what follows
	stage *stage         // nil once it is live or discarded
	stamp livefile.Stamp // of what was checked
}

// Stage does everything of [Push] that takes time and changes nothing: it receives the
// database that src yields and checks it, as opts say. Staged.Swap then does the rest, as
// often as it takes. So a fleet of programs can all have a new version, checked, before the first
// of them serves it.
//
// Between the two the live database may be pushed to, pulled from and written. The errors
// are those of Push. opts.DryRun is refused, since that is what Stage is up to the file.
func Stage(ctx context.Context, db *driver.Database, src io.Reader, opts PushOptions) (*Staged, Report, error) {
	if err := supported("push to"); err != nil {
		return nil, Report{}, err
	}
	s := &Staged{db: db, opts: opts}
	var err error
	s.report, err = newPush(db, opts).do(ctx, func(p *push) error {
		if opts.DryRun {
			return &failure{text: "to stage a database is a dry run already", kinds: []error{ErrTarget}, hint: "leave out DryRun, and call Discard"}
		}
		return p.run(ctx, func() error { return p.receive(ctx, src) }, func(ctx context.Context) error { return s.take(ctx, p) })
	})
	if err != nil {
		return nil, s.report, err
	}
	return s, s.report, nil
}

// take keeps the stage of a push that has checked it.
func (s *Staged) take(ctx context.Context, p *push) error {
	p.phases.begin("sync")
	if err := p.stage.file.Sync(); err != nil {
		return failed("fsync the stage", err)
	}
	if err := p.stage.assertAlone(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.live, s.over = p.target.path, p.target.exists
	s.stamp = livefile.StampOf(p.stage.file)
	s.stage, p.stage = p.stage, nil
	s.stage.checked = true
	return nil
}

// Swap makes the staged database live: what is left of [Push] is the comparison with the
// live database's schema, the rehearsal, and the swap itself. PushOptions.Prepare and
// Validate are not called again. If it fails and Report.Swapped is false, the staged database
// is still there as a rule, and Swap may be tried again: but not if it was changed,
// removed or given another name, which is ErrBadDatabase, or if the database is at another path now or there
// is nothing at it any more, which is ErrTarget; then it is discarded. The other errors
// are those of Push.
func (s *Staged) Swap(ctx context.Context) (Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return newPush(s.db, s.opts).do(ctx, func(p *push) error {
		return p.run(ctx, func() error { return s.give(p) }, p.swap)
	})
}

// give makes what is staged the push's stage.
func (s *Staged) give(p *push) error {
	if s.stage == nil {
		return &failure{text: "what was staged is live already, or was discarded", kinds: []error{ErrTarget}, hint: "stage it anew"}
	}
	p.stage, s.stage = s.stage, nil // which discards it, unless retake gets it back
	p.report.Bytes, p.report.SHA256 = p.stage.size, s.report.SHA256
	switch {
	case p.target.path != s.live:
		return &failure{text: fmt.Sprintf("it was staged beside %s", printable.Line(s.live)), kinds: []error{ErrTarget}, hint: "stage it anew"}
	case p.target.exists != s.over:
		return &failure{text: "the live database was removed, or made, since this one was staged", kinds: []error{ErrTarget}, hint: "stage it anew"}
	case !s.unchanged(p.stage):
		return bad("find out what writes to files that begin with a dot and end in .stage, and stage it anew", "what was staged was changed, removed or given another name meanwhile")
	}
	p.retake = s.retake
	return nil
}

// unchanged reports whether a stage holds what was checked, and has no other name by which
// somebody could write to it once it is live.
func (s *Staged) unchanged(st *stage) bool {
	state, err := lookThrough(st.file)
	return err == nil && state.nlink <= 1 && s.stamp == livefile.StampOf(st.file) && s.stamp.Unwritten(st.path) && st.assertAlone() == nil
}

// retake gets back the stage of a push that came to nothing, if that still has it.
func (s *Staged) retake(p *push) {
	st := p.stage
	if st.path == "" || st.file == nil || p.report.Swapped {
		return
	}
	// The swap's own steps have given it the live one's attributes and journal mode.
	err := errors.Join(st.removeUnused(), sqlitefile.SetJournal(st.file, false))
	if name := (beside{id: st.id, kind: kindStage}).path(s.live); err == nil && st.path != name {
		err = st.rename(name)
	}
	if err == nil {
		err = st.file.Sync()
	}
	if err == nil && st.assertAlone() == nil {
		s.stage, p.stage = st, nil
		s.stamp = livefile.StampOf(st.file)
	}
}

// Discard removes the staged database, unless it is live.
func (s *Staged) Discard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage != nil {
		s.stage.discard()
		s.stage = nil
	}
}
