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

// turn is a freeze's place among them.
type turn struct{ taken bool }

// take waits, with the gate open, until the freeze may close it.
func (t *turn) take(ctx context.Context, path string, most time.Duration) error {
	if t.taken {
		return nil
	}
	select {
	case turns <- struct{}{}: // even if no time is left to wait
		t.taken = true
		return nil
	default:
	}
	timeout := time.NewTimer(most)
	defer timeout.Stop()
	select {
	case turns <- struct{}{}:
		t.taken = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return fmt.Errorf("%w: %s is still waiting for swaps of the program's other databases", ErrFreezing, printable.Line(path))
	}
}

// end does nothing the second time. The gate is open.
func (t *turn) end() {
	if t.taken {
		t.taken = false
		<-turns
	}
}
