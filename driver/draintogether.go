package driver

import (
	"context"
	"errors"
	"slices"
	"time"

	"hotswap/internal/peers"
)

// What follows an attempt, with peers: the same in all processes.

// onlyCalls reports whether none of them is held between its calls.
func onlyCalls(all []Holder) bool {
	return !slices.ContainsFunc(all, func(h Holder) bool { return h.Kind != HoldCall })
}

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
