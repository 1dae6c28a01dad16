package swapper

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"hotswap/driver"
	"hotswap/internal/fileid"
	"hotswap/internal/inside"
	"hotswap/internal/openers"
	"hotswap/internal/printable"
)

// freezingPatience bounds the wait for another freeze of the database.
const freezingPatience = time.Second

// peerPatience bounds the wait for a peer that has not ended its part in another swap, within
// the push's timeout.
const peerPatience = 5 * time.Second

// freeze drains and closes the program's connections.
func (p *push) freeze(ctx context.Context) (*driver.Frozen, error) {
	p.phases.begin("wait")
	if p.wal {
		// What it can't do is left for the checkpoint that decides: to give back
		// the blocks of a gigabyte takes longer than the rest of the pause.
		shrinkWAL(ctx, p.db)
	}
	end := p.wait() // for peers that don't answer
	err := p.nobodyElsewhere()
	end()
	if err != nil {
		return nil, err
	}
	swap := inside.FreezeOptions{InTurn: true, Quiet: p.rest.quiet()}
	if p.removed.file != fileid.None {
		swap.BeforeLast = p.holdRemoved
	}
	keeps := p.keepsRemoved()
	if keeps {
		swap.BeforeClose = p.keepRemoved(ctx)
	}
	opts := inside.Extend(driver.FreezeOptions{
		MaxPause: p.opts.MaxPause,
		Force:    p.opts.Force && !keeps, // which closes connections, perhaps the last one on the file
		Peers:    p.wantLease,            // which proves that they have closed it
		Logger:   &p.opts.Logger,
		Notify:   p.freezeStep,
	}, swap)
	frozen, err := p.freezePatiently(ctx, opts, p.attemptRename())
	if err != nil {
		p.dropKept()
		return nil, p.freezeFailed(err)
	}
	p.phases.begin("swap")
	p.report.Connections, p.report.Attempts = frozen.Connections, frozen.Attempts
	p.report.Holders = append(slices.Clone(p.forced), frozen.Holders...)
	return frozen, nil
}

// attemptRename is attempt, without what is kept for writing in place where that may follow.
func (p *push) attemptRename() time.Duration {
	all := p.attempt()
	if p.opts.method() == MethodAuto && p.wal && !p.opts.Force {
		return all - min(all/4, p.opts.maxPause())
	}
	return all
}

// freezePatiently freezes the database within the timeout, which begins now. A push
// of a database that this one has attached, or a move to a file that was put there,
// is over soon, so it waits a moment for another freeze; not for long, since an OnSwap
// callback may be waiting for this very push.
//
// When the timeout is over, a forced push ends what is held, but not if that waits for a
// lock of another process.
func (p *push) freezePatiently(ctx context.Context, opts driver.FreezeOptions, timeout time.Duration) (*driver.Frozen, error) {
	defer p.wait()()
	force := opts.Force
	opts.Force = false
	frozen, err := p.freezeWithin(ctx, opts, timeout)
	var held *driver.HeldError
	if !force || !errors.As(err, &held) {
		return frozen, err
	}
	if f := lockedElsewhere(p.db, held.Holders...); f != nil {
		return nil, f
	}
	opts.Force = true
	frozen, err = p.freezeWithin(ctx, opts, time.Millisecond)
	if err == nil {
		frozen.Attempts += held.Attempts
		names := make([]string, len(held.Holders))
		for i, h := range held.Holders {
			names[i] = h.String()
		}
		p.events.step(StepForced, "interrupted, and rolled back: "+strings.Join(names, ", "), map[string]any{fieldHolders: names})
	}
	return frozen, err
}

func (p *push) freezeWithin(ctx context.Context, opts driver.FreezeOptions, timeout time.Duration) (*driver.Frozen, error) {
	began, pause := time.Now(), freezingEvery
	own, peers := min(timeout, freezingPatience), min(p.attempt(), peerPatience)
	if opts.Force && opts.Peers { // which comes when the timeout is over
		own, peers = freezingPatience, max(peers, freezingPatience)
	}
	for announced := false; ; {
		opts.Timeout = max(timeout-time.Since(began), time.Millisecond)
		frozen, err := p.db.Freeze(ctx, opts)
		patience := own
		var peer *driver.PeerError
		if errors.As(err, &peer) {
			patience = peers
		}
		if !errors.Is(err, driver.ErrFreezing) || time.Since(began) >= patience {
			return frozen, err
		}
		if peer != nil && !announced {
			announced = true
			p.events.step(StepWaiting, "waiting for "+peer.Peer.String()+", which "+printable.Line(peer.Peer.Problem), nil)
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		if peer != nil { // each time calls have waited for its answer
			pause = min(2*pause, peerPatience/10)
		}
	}
}

// freezeAll is freeze and freezeAttachers. A database that has this one attached may
// be in a swap itself, which waits for what it holds: that is waited for with calls
// flowing. If frozen is nil nothing is frozen.
func (p *push) freezeAll(ctx context.Context) (frozen *driver.Frozen, others attachers, err error) {
	for try := 1; ; try++ {
		if err := p.awaitAttachers(ctx); err != nil {
			return nil, nil, err
		}
		if frozen, err = p.freeze(ctx); err != nil {
			return nil, nil, err
		}
		if p.removed.closed {
			ctx = context.WithoutCancel(ctx)
		}
		others, err = p.freezeAttachers(ctx)
		// If none of them is in a swap any more, it has just ended; or an OnSwap callback
		// runs, which may wait for this very push.
		if !errors.Is(err, driver.ErrFreezing) || p.removed.closed || p.left() == 0 || try > 2 && !anyFreezing(p.db.Attachers()) {
			return frozen, others, err
		}
		p.phases.begin("wait")
		p.rest.leave()
		p.thaw(frozen, others.thaw)
		// Two databases may have each other attached, and be pushed to at once: let
		// one be the first.
		end := p.wait()
		err = sleep(ctx, rand.N(attacherPatience/5)+freezingEvery)
		end()
		if err != nil {
			return nil, nil, err
		}
	}
}

func (p *push) freezeFailed(err error) error {
	var held *driver.HeldError
	switch {
	case errors.Is(err, inside.ErrNoneOpen):
		return errNoneOpen(removedText)
	case errors.Is(err, inside.ErrUnread), p.removed.open && heldUpByJournal(p.db.Path(), err):
		return servedFailed(context.Background(), p.db.Path(), "copy the live database to its backup", err)
	case errors.As(err, new(*driver.PeerError)):
		// One that is told of another swap just now would not be told of this one in place.
		f := &failure{cause: err, kinds: []error{ErrBusy}, inPlace: !errors.Is(err, driver.ErrFreezing),
			hint: "see what that process is doing, and try again"}
		if f.inPlace = f.inPlace && p.target.exists; f.inPlace {
			f.hint += ", or push in place (--method=in-place)"
		}
		return f
	case errors.As(err, &held):
		if f := lockedElsewhere(p.db, held.Holders...); f != nil {
			return f
		}
		held.Waited = p.waited() // by the whole push
		p.report.Attempts, p.report.Holders = held.Attempts, held.Holders
		f := &failure{cause: held, kinds: []error{ErrBusy},
			hint: "try again, or wait longer with --timeout; a function in driver.Raw, or one of the program's own SQL functions, is not ended by force",
			// With a rollback journal a reader keeps SQLite from the commit, too.
			inPlace: p.wal}
		if !p.opts.Force {
			f.hint = "try again, wait longer with --timeout, or end the holders with --force"
		}
		if !slices.ContainsFunc(held.Holders, func(h driver.Holder) bool { return !waitsItself(h) }) {
			if others := openers.Elsewhere(p.target.state.inode()); len(others) > 0 {
				f.hint = "what holds it is waiting, too, most likely for " + joinProcesses(others) + ", which has the database open: let it end its transaction and try again, or wait longer with --timeout"
			}
		}
		return f
	case errors.Is(err, driver.ErrReplaced):
		return failed("close the connections", err)
	case errors.Is(err, driver.ErrFreezing):
		if p.db.Stats().OnSwap > 0 {
			return &failure{cause: err, kinds: []error{ErrBusy},
				hint: "try again; one that never returns keeps the database from being swapped until the program is restarted"}
		}
		return &failure{text: "the program has frozen the database", cause: err, kinds: []error{ErrBusy}, hint: "try again"}
	}
	return err
}

func (p *push) freezeStep(e driver.FreezeEvent) {
	switch e.Step {
	case driver.FreezeWaiting:
		if e.Count > 0 {
			p.events.step(StepWaiting, "waiting for "+count(e.Count, "connection")+" in use", map[string]any{fieldCount: e.Count})
		}
	case driver.FreezeGateClosed:
		p.events.step(StepGateClosed, string(StepGateClosed), map[string]any{"window": e.Window})
	case driver.FreezeGateReopened:
		p.rest.leave() // a connection that stays is in the way of a change of journal mode
		text := "gate open again: waiting for"
		names := make([]string, len(e.Holders))
		for i, h := range e.Holders {
			names[i] = h.String()
		}
		p.events.add(Event{Time: time.Now(), Step: StepReopened, Text: text + " " + strings.Join(names, ", "), Holders: e.Holders},
			map[string]any{fieldHolders: names})
	case driver.FreezeClosed:
		p.events.step(StepClosed, "closed "+count(e.Count, "connection"), map[string]any{fieldCount: e.Count})
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
		r := result{err: errors.New("the connect hook did not return")} // runtime.Goexit
		defer func() { ended <- r }()
		r.n, r.err = inside.Of(p.db).Reconnect()
	}()
	select {
	case r := <-ended:
		return r.n, r.err
	case <-time.After(reconnectPatience):
		return 0, errors.New("something has the database locked")
	}
}

// thaw opens the gate, with the new database behind it or the old one.
func (p *push) thaw(frozen *driver.Frozen, opened ...func()) {
	if p.report.Swapped || p.removed.restored {
		frozen.Replaced()
		if p.opts.SkipRehearsal {
			inside.OfFrozen(frozen).ForgiveReplay()
		}
	}
	inside.OfFrozen(frozen).ThawThen(func(t inside.Thawed) { // before OnSwap, which may take its time
		for _, do := range opened {
			do()
		}
		p.report.Pause, p.report.WritesPause, p.report.Generation = t.Pause, t.WritesPause, t.Generation
		text := "gate open"
		if !p.report.Swapped {
			text = "gate open again, nothing swapped"
		}
		p.events.step(StepGateOpen, fmt.Sprintf("%s: calls resume (pause %s)", text, human(t.Pause)), map[string]any{fieldPause: t.Pause})
	})
	p.report.Peers, p.report.OnSwapRuns = frozen.Peers, frozen.OnSwapRuns
	if p.report.Swapped {
		p.sayWhoSwapped()
	}
	n, err := p.reconnect()
	if err != nil {
		// The calls that come will try again, and get this error if it stays.
		p.events.step(StepReconnected, fmt.Sprintf("reconnected %s; then: %v", count(n, "idle connection"), err), map[string]any{fieldCount: n, "error": err.Error()})
		return
	}
	p.events.step(StepReconnected, "reconnected "+count(n, "idle connection"), map[string]any{fieldCount: n})
}
