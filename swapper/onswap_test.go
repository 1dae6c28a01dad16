package swapper_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

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

// A push whose attempt came to nothing opens the gate, too: whoever reads the log must not
// take that for the swap.
func TestAGateThatOpensWithNothingSwappedIsSaidToBe(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	tx := s.openTx("UPDATE items SET filler = NULL")
	var opened []string
	opts := swapper.PushOptions{Method: swapper.MethodInPlace, Timeout: 50 * time.Millisecond, Notify: func(e swapper.Event) {
		if e.Step == swapper.StepGateOpen {
			opened = append(opened, e.Text)
		}
	}}
	if _, err := s.push(source(t, "new"), opts); !errors.Is(err, swapper.ErrBusy) {
		t.Fatal(err)
	}
	for _, text := range opened {
		if !strings.HasPrefix(text, "gate open again, nothing swapped: ") {
			t.Error(text)
		}
	}
	if len(opened) == 0 {
		t.Error("it did not open")
	}
	tx.Rollback()
	s.mustPush(source(t, "new"), opts)
	if last := opened[len(opened)-1]; !strings.HasPrefix(last, "gate open: calls resume") {
		t.Error(last)
	}
}
