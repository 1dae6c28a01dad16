package driver

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"hotswap/internal/printable"
)

// turns has a value for each database whose gate is closed by a freeze in turn.
// What such a freeze does while calls wait (it closes files, looks through the
// descriptors, syncs the disk) takes longer the more of them do it: with two hundred at
// once callers would wait for seconds, while one after another each waits for its own
// milliseconds.
var turns = make(chan struct{}, max(2, min(runtime.GOMAXPROCS(0), 8)))

// takeTurn waits, with the gate open, until the freeze may close it.
func (dr *drain) takeTurn(ctx context.Context, most time.Duration) error {
	if !dr.opts.swap.InTurn || dr.frozen.turn {
		return nil
	}
	select {
	case turns <- struct{}{}: // even if no time is left to wait
		dr.frozen.turn = true
		return nil
	default:
	}
	timeout := time.NewTimer(most)
	defer timeout.Stop()
	select {
	case turns <- struct{}{}:
		dr.frozen.turn = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return fmt.Errorf("%w: %s is still waiting for swaps of the program's other databases", ErrFreezing, printable.Line(dr.d.Path()))
	}
}

// endTurn does nothing the second time. The gate is open.
func (f *Frozen) endTurn() {
	if f.turn {
		f.turn = false
		<-turns
	}
}
