package driver

import "testing"

// TestTheStateWord goes through the transitions that calls and freezes make, with
// the counts as large as they get.
func TestTheStateWord(t *testing.T) {
	for _, base := range []word{0, callUnit * 7, ^word(0) &^ (stateMask | wantMark | innerMark)} {
		idle := base.with(stateIdle)
		busy := idle.begun()
		if busy.state() != stateBusy || busy.inner() || busy.period() == idle.period() || busy.calls() == idle.calls() {
			t.Errorf("%#x begun: %#x, %s", uint64(idle), uint64(busy), busy)
		}
		held := busy.ended(true)
		if held.state() != stateHeld || held.period() != busy.period() || held.calls() != busy.calls() {
			t.Errorf("%#x ended: %#x, %s", uint64(busy), uint64(held), held)
		}
		inner := held.begun()
		if inner.state() != stateBusy || !inner.inner() || inner.period() != held.period() || inner.calls() == held.calls() {
			t.Errorf("%#x begun: %#x, %s", uint64(held), uint64(inner), inner)
		}
		if again := inner.ended(false); again.state() != stateIdle || again.inner() || again.wanted() {
			t.Errorf("%#x ended: %#x, %s", uint64(inner), uint64(again), again)
		}
	}
	for w, want := range map[word]struct {
		free, drained bool
		name          string
	}{
		word(stateIdle):              {true, false, "idle"},
		word(stateHeld):              {true, false, "held"},
		word(stateBusy):              {false, false, "busy"},
		word(stateFrozen):            {false, true, "frozen"},
		word(stateIdle) | wantMark:   {false, true, "idle+want"},
		word(stateHeld) | wantMark:   {false, false, "held+want"},
		word(stateBusy) | wantMark:   {false, false, "busy+want"},
		word(stateFrozen) | wantMark: {false, true, "frozen+want"},
	} {
		if w.free() != want.free || w.drained() != want.drained || w.String() != want.name {
			t.Errorf("%s: free %v, drained %v; want %+v", w, w.free(), w.drained(), want)
		}
		if got := w.released(false).state(); got == stateFrozen || w.released(true).state() != w.state() || w.released(true).wanted() {
			t.Errorf("%s released: %s, closed %s", w, w.released(false), w.released(true))
		}
	}
}
