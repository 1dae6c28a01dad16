package testenv

import (
	"sync"
	"testing"
)

// Loop calls fn over and over, on n goroutines, until stop is called, which returns when
// all have ended. An error of fn fails the test, and ends the goroutine that got it.
func Loop(t testing.TB, n int, fn func() error) (stop func()) {
	over := make(chan struct{})
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if err := fn(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	stop = sync.OnceFunc(func() {
		close(over)
		wg.Wait()
	})
	t.Cleanup(stop)
	return stop
}
