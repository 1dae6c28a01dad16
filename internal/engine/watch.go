package engine

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// stopPatience is how long the end of a watch waits for the engine, which is told of it.
const stopPatience = 200 * time.Millisecond

// StopWatch ends a watch. The engine may be away, and what comes still has to go somewhere, or the
// watch would hang.
func StopWatch(w jetstream.KeyWatcher) {
	stopped := make(chan struct{})
	go func() {
		w.Stop()
		close(stopped)
	}()
	go func() {
		for range w.Updates() {
		}
	}()
	select {
	case <-stopped:
	case <-time.After(stopPatience):
	}
}
