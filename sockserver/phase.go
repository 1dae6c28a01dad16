package sockserver

import (
	"net/http"
	"sync/atomic"

	"hotswap/swapper"
)

// headerPhase, with whatever value, asks to be told how far the push of a descriptor is, in
// answers 102 that come before the answer proper: then a client whose connection is lost,
// because the program was killed, knows whether anything can have been swapped. (Without
// a descriptor it knows that from the body, which it has sent whole or not.) Status lines
// can't tell, since no push waits until they are sent.
//
// A descriptor has come straight from the client. Where something stands between, such as
// ssh, it may lose the second of two answers, and the server go on.
const headerPhase = "Hotswap-Phase"

// The phases of a push.
const (
	phaseChecking = "checking" // the live database is as it was
	phaseSwapping = "swapping" // it may be replaced from now on
)

// tellPhases tells the client of a push how far it is, if it has asked for that.
func tellPhases(w http.ResponseWriter, r *http.Request, opts *swapper.PushOptions) {
	if r.Header.Get(headerPhase) == "" {
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
