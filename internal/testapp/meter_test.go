package testapp

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestMeterKeepsTheLatestCallsAndTellsWhoWaited(t *testing.T) {
	m := newMeter(4)
	at := func(ms int) time.Time { return m.epoch.Add(time.Duration(ms) * time.Millisecond) }
	m.add(CallInsert, at(0), at(900), nil) // pushed out of the ring by the fifth
	m.add(CallStatement, at(10), at(12), nil)
	m.add(CallStatement, at(20), at(70), nil)
	m.add(CallNested, at(55), at(58), errors.New("no such table"))
	m.add(CallInsert, at(65), at(66), nil)

	if got, want := m.Total(), (CallStats{Served: 4, Failed: 1, Longest: 900 * time.Millisecond}); got != want {
		t.Errorf("total is %+v, want %+v", got, want)
	}
	if got := m.Errors(); len(got) != 1 || got[0] != "nested rows: no such table" {
		t.Errorf("errors are %q", got)
	}
	waits := m.During(at(50), at(60))
	if len(waits) != 2 || waits[0] != (Wait{CallStatement, 1, 50 * time.Millisecond}) || waits[1] != (Wait{CallNested, 1, 3 * time.Millisecond}) {
		t.Errorf("during the pause: %+v", waits)
	}
	line := m.Timeline(at(0), at(100), 4)
	want := []Slot{{2, 0, 50 * time.Millisecond}, {}, {2, 1, 3 * time.Millisecond}, {}}
	for i := range want {
		if line[i] != want[i] {
			t.Errorf("slot %d is %+v, want %+v", i, line[i], want[i])
		}
	}
	if got := m.Quantile(1); got != 50*time.Millisecond {
		t.Errorf("the longest kept is %v", got)
	}
}

func TestMeterAwaitsCallsThatAreServedFromNowOn(t *testing.T) {
	m := newMeter(4)
	m.add(CallInsert, m.epoch, m.epoch, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Await(ctx, 2, CallInsert, CallPair) }()
	for _, c := range []Call{CallInsert, CallPair, CallPair, CallInsert, CallInsert, CallInsert, CallPair, CallPair} {
		m.add(c, m.epoch, m.epoch, nil)
	}
	// Whether it began to wait before or after some of these, the rest decides.
	go func() {
		for ctx.Err() == nil {
			m.add(CallInsert, m.epoch, m.epoch, nil)
			m.add(CallPair, m.epoch, m.epoch, nil)
		}
	}()
	if err := await(t, "the calls", done); err != nil {
		t.Error(err)
	}
	cancel()
	if err := m.Await(ctx, 1, CallNested); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was given up returned %v", err)
	}
}
