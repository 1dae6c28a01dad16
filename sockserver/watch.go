package sockserver

import (
	"context"
	"time"

	"hotswap/internal/reserve"
)

// watchEvery is how often the server checks whether the program is short of descriptors, and
// whether its sockets are there.
const watchEvery = time.Second

// watch looks after the sockets until ctx ends. While descriptors are scarce, it closes
// connections of clients that ask for nothing. And it makes sockets again that were removed.
func (a *api) watch(ctx context.Context, servers []*socketServer) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		scarce := reserve.Scarce()
		for _, s := range servers {
			if scarce {
				s.conns.closeIdle()
			}
			s.relisten()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// startWatch runs watch until stop, which waits for its end and may be
// called again.
func (a *api) startWatch(servers ...*socketServer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.watch(ctx, servers)
	}()
	return func() { cancel(); <-done }
}
