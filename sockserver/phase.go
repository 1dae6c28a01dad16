package sockserver

import (
	"net/http"
	"sync/atomic"

	"hotswap/swapper"
)

// headerPhase, with whatever value, asks to be told how far a push is, in answers 102 that
// come before the answer proper: then a client whose connection is lost, most likely
// because the program was killed, knows whether anything can have been swapped. Status
// lines can't tell, since no push waits until they are sent.
const headerPhase = "Hotswap-Phase"

// The phases of a push.
const (
	phaseChecking = "checking" // the live database is as it was
	phaseSwapping = "swapping" // it may be replaced from now on
)

// tellPhases tells the client of a push how far it is, if it has asked for that. Between
// the connection and the handler there is nothing of the program's, which might take a 102
// for the answer.
func tellPhases(w http.ResponseWriter, r *http.Request, opts *swapper.PushOptions) {
	if r.Header.Get(headerPhase) == "" || connOf(r.Context()) == nil {
		return
	}
	tell := func(phase string) {
		w.Header().Set(headerPhase, phase)
		w.WriteHeader(http.StatusProcessing) // which is sent at once
		w.Header().Del(headerPhase)
	}
	tell(phaseChecking)
	opts.BeforeSwap = func() { tell(phaseSwapping) }
}

// heardPhase is the last phase that a client was told of. net/http reads it before it
// reports that the connection has ended.
type heardPhase struct{ atomic.Pointer[string] }

// unchanged reports whether the server has not begun to swap, as far as it got; false if it
// does not tell, as an older one.
func (h *heardPhase) unchanged() bool {
	last := h.Load()
	return last != nil && *last == phaseChecking
}
