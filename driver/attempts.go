package driver

import (
	"context"
	"errors"
	"slices"
	"time"

	"hotswap/internal/peers"
)

// run returns nil with the gate closed and every connection drained.
func (dr *drain) run(ctx context.Context) error {
	d, f, others := dr.d, dr.frozen, dr.frozen.others
	dr.opts.Notify(FreezeEvent{Step: FreezeWaiting, Count: len(d.Holders())})
	window := min(firstWindow, dr.opts.MaxPause)
	var holders, theirs []Holder // of the attempt before; theirs are in other processes
	for {
		if err := dr.takeTurn(ctx, dr.remaining()); err != nil {
			return err
		}
		f.Attempts++
		f.writesWait = time.Time{}
		began := time.Now()
		ended := true
		filters := (holders != nil || theirs != nil) && !(others.any() && onlyCalls(holders) && onlyCalls(theirs))
		if filters {
			others.ask(peers.Message{Op: peers.Filter, For: window / 2})
			d.filterGate(newFilter(holders))
			holding := dr.undrained()
			if err := dr.wait(ctx, window/2, holding, false); err != nil {
				return err
			}
			ended = !dr.anyHeld(holding)
			theyEnded, err := others.await(ctx, window/2-time.Since(began)+answerSlack)
			if err != nil {
				return err
			}
			ended = ended && theyEnded
		}
		left := window
		if ended {
			// Without a filter, what seems to wait has only not come to run since the gate was
			// opened last.
			filtered, waited := time.Since(began), filters && d.waiting.Load() > 0
			if !others.any() {
				if err := dr.quieten(ctx, holders, window); err != nil {
					return err
				}
			}
			f.closedAt = time.Now()
			if waited {
				f.closedAt = began
			}
			shut := time.Now()
			left = min(window-filtered, dr.opts.MaxPause-shut.Sub(began))
			others.ask(peers.Message{Op: peers.Shut, For: max(left, time.Millisecond)})
			d.shutGate()
			dr.opts.Notify(FreezeEvent{Step: FreezeGateClosed, Window: left})
			err := dr.drained(ctx, left)
			if err != nil && err != errTimeout {
				return err
			}
			all, theirErr := others.await(ctx, left-time.Since(shut)+answerSlack)
			if err == nil && all || theirErr != nil {
				return theirErr
			}
		}
		holding := dr.undrained()
		holders, theirs = dr.holders(), others.held()
		f.Holders = mergeHolders(mergeHolders(f.Holders, holders), theirs)
		dr.opts.Notify(FreezeEvent{Step: FreezeGateReopened, Holders: sortHolders(slices.Concat(holders, theirs))})
		if !ended || window > eagerWindow || window == dr.opts.MaxPause || others.any() && others.pending() {
			d.openGate(holding)
			f.turn.end()
			long := ended && window > lockSleep
			if others.any() {
				long = ended && left > 2*lockSleep
			}
			if err := dr.restTogether(ctx, holding, 2*time.Since(began), long); err != nil {
				return err
			}
			theirs = others.held() // also of those whose answers were late
			f.Holders = mergeHolders(f.Holders, theirs)
		}
		if dr.remaining() <= 0 {
			if dr.opts.Force {
				return dr.forceTogether(ctx)
			}
			return dr.heldBy(mergeHolders(dr.blame(holding), theirs))
		}
		window = min(2*window, dr.opts.MaxPause)
	}
}

// What follows an attempt, with peers: the same in all processes.

// restTogether is rest, in all processes. Those that have answered open their gates at
// once, the others must have answered first.
func (dr *drain) restTogether(ctx context.Context, holding map[*conn]word, pause time.Duration, long bool) error {
	others := dr.frozen.others
	if err := others.settle(ctx); err != nil {
		return err
	}
	others.ask(peers.Message{Op: peers.Open, Long: long})
	if err := dr.rest(ctx, holding, pause, long); err != nil {
		return err
	}
	_, err := others.await(ctx, dr.remaining())
	return err
}

// forceTogether is force, in all processes.
func (dr *drain) forceTogether(ctx context.Context) error {
	others := dr.frozen.others
	grace := min(forceGrace, dr.opts.MaxPause)
	others.ask(peers.Message{Op: peers.Force, For: grace})
	began := time.Now()
	err := dr.force(ctx)
	if err != nil && !errors.As(err, new(*HeldError)) {
		return err
	}
	all, theirErr := others.await(ctx, grace-time.Since(began)+10*answerSlack)
	switch {
	case theirErr != nil:
		return theirErr
	case err == nil && !all:
		if theirErr = others.silent(); theirErr != nil {
			return theirErr
		}
		if held := others.held(); held != nil { // else those who were silent are left out
			return dr.heldBy(held)
		}
	}
	return err
}
