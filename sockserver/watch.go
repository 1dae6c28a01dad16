package sockserver

import (
	"context"
	"time"

	"hotswap/driver"
)

// watchEvery is how often the server checks what holds its databases.
const watchEvery = time.Second

// watchHolders checks what is held until ctx ends. Calls read no clock, so only
// an observer that saw a holder before knows for how long it has held.
func (a *api) watchHolders(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		for _, db := range driver.Databases() {
			db.Holders()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// startWatch runs watchHolders until stop, which waits for its end and may be
// called again.
func (a *api) startWatch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.watchHolders(ctx)
	}()
	return func() { cancel(); <-done }
}
