package swapper_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/swapper"
)

func TestAPushThatWaitsForOnSwapSaysSoAndTheNextOneToo(t *testing.T) {
	s := start(t, t.TempDir(), "")
	running, end := make(chan struct{}), make(chan struct{})
	defer s.db.OnSwap(func(driver.Swap) { close(running); <-end })()
	var steps []swapper.Step
	ended := make(chan error)
	open := make(chan struct{})
	go func() {
		_, err := swapper.Push(t.Context(), s.db, bytes.NewReader(source(t, "new")), swapper.PushOptions{Notify: func(e swapper.Event) {
			if steps = append(steps, e.Step); e.Step == swapper.StepGateOpen {
				close(open)
			}
		}})
		ended <- err
	}()
	<-running
	<-open // which is said before it waits
	_, err := swapper.Push(t.Context(), s.db, bytes.NewReader(source(t, "newer")), swapper.PushOptions{})
	if !errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), "another push is in progress: it has swapped, and waits for the program's OnSwap callbacks") {
		t.Errorf("the next push: %v", err)
	}
	close(end)
	if err := <-ended; err != nil || s.stamp() != "new" {
		t.Errorf("%v, the database is %s", err, s.stamp())
	}
	if len(steps) == 0 || steps[len(steps)-1] != swapper.StepPushComplete {
		t.Errorf("steps %v", steps)
	}
}
