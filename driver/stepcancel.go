package driver

import (
	"context"
	"sync"
	"time"
)

// stepCanceller interrupts the steps of one Rows when their context ends. Unlike
// canceller it is not waited for: none of the steps begins once the context has ended.
type stepCanceller struct {
	interrupter *interrupter
	ctx         context.Context
	stop        func() bool
	mu          sync.Mutex
	running     bool
}

func (i *interrupter) cancelSteps(ctx context.Context) *stepCanceller {
	sc := &stepCanceller{interrupter: i, ctx: ctx}
	sc.stop = context.AfterFunc(ctx, sc.interruptUntilEnded)
	return sc
}

// begin reports whether a step may begin.
func (sc *stepCanceller) begin() bool {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.running = sc.ctx.Err() == nil
	return sc.running
}

// end returns when no interrupt is meant for the step any more.
func (sc *stepCanceller) end() {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.running = false
}

func (sc *stepCanceller) interruptUntilEnded() {
	for repeat := firstRepeat; ; repeat = min(2*repeat, lastRepeat) {
		sc.mu.Lock()
		running := sc.running
		if running {
			sc.interrupter.interrupt(nil)
		}
		sc.mu.Unlock()
		if !running {
			return
		}
		time.Sleep(repeat)
	}
}
