package swapper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hotswap/driver"
	"hotswap/internal/printable"
)

// freezingPatience bounds the wait for another freeze of the database.
const freezingPatience = time.Second

// freeze drains and closes the program's connections.
func (p *push) freeze(ctx context.Context) (*driver.Frozen, error) {
	p.phase("wait")
	if p.wal {
		// What it can't do is left for the checkpoint that decides: to give back
		// the blocks of a gigabyte takes longer than the rest of the pause.
		shrink(ctx, p.db)
	}
	if err := p.nobodyElsewhere(); err != nil {
		return nil, err
	}
	opts := driver.FreezeOptions{
		Timeout: p.opts.Timeout, MaxPause: p.opts.MaxPause, Force: p.opts.Force,
		InTurn: true,
		Logger: &p.opts.Logger,
		Notify: p.freezeStep,
	}
	frozen, err := p.db.Freeze(ctx, opts)
	// A push of a database that this one has attached, or a move to a file that was put
	// there, is over soon; an OnSwap callback may be waiting for this very push.
	for late := time.Now().Add(min(p.opts.timeout(), freezingPatience)); errors.Is(err, driver.ErrFreezing) && time.Now().Before(late); {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		frozen, err = p.db.Freeze(ctx, opts)
	}
	if err != nil {
		return nil, p.freezeFailed(err)
	}
	p.phase("swap")
	p.report.Connections, p.report.Attempts, p.report.Holders = frozen.Connections, frozen.Attempts, frozen.Holders
	return frozen, nil
}

// attachers are other databases of the program that have the live one attached.
type attachers []*driver.Frozen

// attacherPatience bounds the wait for them, while calls of the live database
// wait: somebody may hold the one and want the other.
const attacherPatience = 250 * time.Millisecond

// freezeAttachers closes the connections of other databases that have this one
// attached, for they have its file open. They attach it again when they reopen.
func (p *push) freezeAttachers(ctx context.Context) (all attachers, err error) {
	for _, db := range p.db.Attachers() {
		frozen, err := db.Freeze(ctx, driver.FreezeOptions{Timeout: attacherPatience, MaxPause: attacherPatience, Logger: &p.opts.Logger})
		if err != nil {
			return all, attacherHeld(db, err, "try again, or push in place (--method=in-place)")
		}
		p.report.Connections += frozen.Connections
		all = append(all, frozen)
	}
	return all, nil
}

func attacherHeld(db *driver.Database, cause error, hint string) error {
	return &failure{text: printable.Line(db.Path()) + ", which has this database attached, can't be drained", cause: cause, kinds: []error{ErrBusy},
		hint: hint, inPlace: true}
}

// thaw does nothing the second time.
func (a attachers) thaw() {
	for _, frozen := range a {
		frozen.Thaw()
	}
}

func (p *push) freezeFailed(err error) error {
	var held *driver.HeldError
	switch {
	case errors.As(err, &held):
		p.report.Attempts, p.report.Holders = held.Attempts, held.Holders
		f := &failure{cause: held, kinds: []error{ErrBusy},
			hint: "try again, or wait longer with --timeout",
			// With a rollback journal a reader keeps SQLite from the commit, too.
			inPlace: p.wal}
		if !p.opts.Force {
			f.hint = "try again, wait longer with --timeout, or end the holders with --force"
		}
		if !slices.ContainsFunc(held.Holders, func(h driver.Holder) bool { return !waitsItself(h) }) {
			if others := openersElsewhere(p.target.dev, p.target.ino); len(others) > 0 {
				f.hint = "what holds it waits itself, most likely for " + joinOpeners(others) + ", which has the database open: let that end its transaction and try again, or wait longer with --timeout"
			}
		}
		return f
	case errors.Is(err, driver.ErrReplaced):
		return failed("close the connections", err)
	case errors.Is(err, driver.ErrFreezing):
		return &failure{text: "the program has the database frozen, or an OnSwap callback of its is running", cause: err, kinds: []error{ErrBusy}, hint: "try again"}
	}
	return err
}

func (p *push) freezeStep(e driver.FreezeEvent) {
	switch e.Step {
	case driver.FreezeWaiting:
		p.step(StepWaiting, "waiting for "+count(e.Count, "hold"), map[string]any{fieldCount: e.Count})
	case driver.FreezeWritesWait:
		p.step(StepWritesWait, string(StepWritesWait), nil)
	case driver.FreezeGateClosed:
		p.step(StepGateClosed, string(StepGateClosed), map[string]any{"window": e.Window})
	case driver.FreezeGateReopened:
		text := "gate open again: waiting for"
		names := make([]string, len(e.Holders))
		for i, h := range e.Holders {
			names[i] = h.String()
		}
		p.stepEvent(Event{Time: time.Now(), Step: StepReopened, Text: text + " " + strings.Join(names, ", "), Holders: e.Holders},
			map[string]any{fieldHolders: names})
	case driver.FreezeClosed:
		p.step(StepClosed, "closed "+count(e.Count, "connection"), map[string]any{fieldCount: e.Count})
	}
}

// reconnectPatience bounds the wait for connections that open behind another
// process's lock: each takes the program's own busy timeout.
const reconnectPatience = 2 * time.Second

func (p *push) reconnect() (int, error) {
	type result struct {
		n   int
		err error
	}
	ended := make(chan result, 1)
	go func() {
		n, err := p.db.Reconnect()
		ended <- result{n, err}
	}()
	select {
	case r := <-ended:
		return r.n, r.err
	case <-time.After(reconnectPatience):
		return 0, errors.New("somebody has the database locked")
	}
}

// thaw opens the gate, with the new database behind it or the old one.
func (p *push) thaw(frozen *driver.Frozen, opened ...func()) {
	if p.report.Swapped {
		frozen.Replaced()
		if p.opts.SkipRehearsal {
			frozen.ForgiveReplay()
		}
	}
	pause := frozen.Thaw(opened...)
	p.report.Pause, p.report.Generation = pause, frozen.Generation
	p.step(StepGateOpen, fmt.Sprintf("gate open: calls resume (pause %s)", human(pause)), map[string]any{fieldPause: pause})
	n, err := p.reconnect()
	if err != nil {
		// The calls that come will try again, and get this error if it stays.
		p.step(StepReconnected, fmt.Sprintf("reconnected %s; then: %v", count(n, "connection"), err), map[string]any{fieldCount: n, "error": err.Error()})
		return
	}
	p.step(StepReconnected, "reconnected "+count(n, "connection"), map[string]any{fieldCount: n})
}
