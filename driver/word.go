package driver

import (
	"fmt"
	"sync/atomic"
)

// word is the state of a connection as one number. From the low end it has the state,
// two marks, a count of calls, and a count of periods (a period lasts from idle to
// idle). The counts tell an observer whether it sees the same call, or the same hold,
// as before, without calls having to read a clock.
//
// These are all the transitions. Each is one compare-and-swap; those that are made
// under conn.mu are, so that whoever holds it sees no state in between.
//
//	begin    idle, held       busy          a call, if the connection isn't wanted; under mu also
//	                                        if it is held, or the gate admits the call
//	end      busy             idle, held    the call
//	claim    idle, held       busy          whoever holds mu, or has set conn.reopening under it
//	unclaim  busy             idle, held    the same
//	hold     idle, wanted     held, wanted  whoever holds mu: SQLite has a transaction open
//	freeze   idle, wanted     frozen        a freeze that has closed the SQLite connection, under mu
//	close    any              frozen        Close and abandon, for good
//	mark     any              wanted        a freeze, under Database.mu
//	release  any              not wanted    a freeze, under Database.mu and mu; frozen becomes idle
type word uint64

type state uint64

const (
	stateIdle   state = 0 // between calls, nothing held
	stateHeld   state = 1 // between calls; Rows or a transaction are open
	stateBusy   state = 2 // inside a call, or claimed
	stateFrozen state = 3 // the SQLite connection is closed for a freeze, or for good

	stateMask  word = 3
	wantMark   word = 4
	innerMark  word = 8 // the call began while something was held: it is not a period's first
	callUnit   word = 1 << 4
	periodUnit word = 1 << 34
	periodMask      = ^(periodUnit - 1)
)

// firstWord is the word of a connection that is being made, which counts as a call.
const firstWord = word(stateBusy) + callUnit + periodUnit

func (w word) state() state { return state(w & stateMask) }
func (w word) wanted() bool { return w&wantMark != 0 }

// free reports whether a call may begin.
func (w word) free() bool {
	s := w & (stateMask | wantMark)
	return s == word(stateIdle) || s == word(stateHeld)
}

// drained reports whether the connection no longer keeps a freeze waiting.
func (w word) drained() bool {
	return w&(stateMask|wantMark) == word(stateIdle)|wantMark || w.state() == stateFrozen
}

// inner reports, of a busy connection, whether its call began while something was held.
func (w word) inner() bool { return w&innerMark != 0 }

// period identifies the period, and calls the call.
func (w word) period() word { return w & periodMask }
func (w word) calls() uint64 {
	return uint64(w / callUnit)
}

// sameCall reports whether both are of the same call.
func (w word) sameCall(other word) bool { return w.calls() == other.calls() }

// with returns w in another state, with its marks and counts unchanged.
func (w word) with(s state) word { return w&^stateMask | word(s) }

// begun returns w, idle or held, in its next call.
func (w word) begun() word {
	if w.state() == stateIdle {
		return w.with(stateBusy) + callUnit + periodUnit
	}
	return w.with(stateBusy) + callUnit | innerMark
}

// ended returns w at the end of its call.
func (w word) ended(held bool) word {
	if held {
		return w.with(stateHeld) &^ innerMark
	}
	return w.with(stateIdle) &^ innerMark
}

// released returns w without the want mark.
func (w word) released(closed bool) word {
	w &^= wantMark
	if w.state() == stateFrozen && !closed {
		w = w.with(stateIdle)
	}
	return w
}

func (s state) String() string { return [...]string{"idle", "held", "busy", "frozen"}[s&3] }

func (w word) String() string {
	if w.wanted() {
		return w.state().String() + "+want"
	}
	return w.state().String()
}

// stateWord is a word that several goroutines read and change.
type stateWord struct{ v atomic.Uint64 }

func (a *stateWord) load() word              { return word(a.v.Load()) }
func (a *stateWord) store(w word)            { a.v.Store(uint64(w)) }
func (a *stateWord) swap(from, to word) bool { return a.v.CompareAndSwap(uint64(from), uint64(to)) }

// mark makes the next call that has not begun wait.
func (a *stateWord) mark() { a.v.Or(uint64(wantMark)) }

// close makes the connection frozen for good, whoever owns it.
func (a *stateWord) close() { a.v.Or(uint64(stateFrozen)) }

// move makes a transition that can race only with a mark.
func (a *stateWord) move(next func(word) word) word {
	for {
		w := a.load()
		if to := next(w); a.swap(w, to) {
			return to
		}
	}
}

// mustSwap makes a transition that nobody else may race with.
func (a *stateWord) mustSwap(from, to word) {
	if !a.swap(from, to) {
		panic(fmt.Sprintf("hotswap: a connection's state became %s while its owner was moving it from %s to %s", a.load(), from, to))
	}
}
