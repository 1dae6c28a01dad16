package sockserver

import (
	"context"
	"time"

	"hotswap/driver"
)

// watchEvery is how often the server looks at who holds its databases.
const watchEvery = time.Second

// watchHolders looks at what is held, again and again: calls read no clock, so
// that something has been held for long is known only to those who have seen it
// before. It ends with ctx.
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
