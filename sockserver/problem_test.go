package sockserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/swapper"
)

func TestEverySentinelHasItsProblem(t *testing.T) {
	held := &driver.HeldError{Holders: []driver.Holder{{Kind: driver.HoldTx, Query: "INSERT"}}}
	for _, test := range []struct {
		err    error
		typ    ProblemType
		status int
		exit   int
	}{
		{swapper.ErrBadDatabase, ProblemBad, http.StatusUnprocessableEntity, 65},
		{fmt.Errorf("%w: %w", swapper.ErrSchema, swapper.ErrBadDatabase), ProblemSchema, http.StatusUnprocessableEntity, 65},
		{fmt.Errorf("%w: %w", swapper.ErrBusy, held), ProblemHeld, http.StatusServiceUnavailable, 75},
		{swapper.ErrBusy, ProblemBusy, http.StatusConflict, 75},
		{driver.ErrFreezing, ProblemBusy, http.StatusConflict, 75},
		{swapper.ErrNotPermitted, ProblemPermission, http.StatusForbidden, 77},
		{swapper.ErrNoSpace, ProblemNoSpace, http.StatusInsufficientStorage, 1},
		{swapper.ErrTarget, ProblemTarget, http.StatusConflict, 1},
		{swapper.ErrNotExist, ProblemNotExist, http.StatusNotFound, 1},
		{fmt.Errorf("%w: %w", swapper.ErrDurabilityUnknown, swapper.ErrNoSpace), ProblemDurability, http.StatusInternalServerError, 1},
		{fmt.Errorf("%w: %w", swapper.ErrBadDatabase, errBodyCut), ProblemCut, http.StatusBadRequest, 65},
		{fmt.Errorf("%w: %w", swapper.ErrBadDatabase, errDigestMismatch), ProblemDigest, http.StatusBadRequest, 65},
		{errBodyStalled, ProblemStalled, http.StatusRequestTimeout, 1},
		{fmt.Errorf("%w: %w", errStopping, context.Canceled), ProblemStopping, http.StatusServiceUnavailable, 75},
		{context.Canceled, ProblemInterrupted, 499, 1},
		{io.ErrClosedPipe, ProblemInternal, http.StatusInternalServerError, 1},
	} {
		// As the swapper returns them.
		p := newProblem(&swapper.Error{Op: "swap", Path: "/db", Err: test.err, Hint: "a hint"}, verbPush)
		if p.Type != test.typ || p.Status != test.status || p.Exit != test.exit || p.Hint != "a hint" {
			t.Errorf("%v: got %+v", test.err, p)
		}
		if want := "swap /db: " + test.err.Error(); p.Detail != want {
			t.Errorf("%v: detail %q, want %q", test.err, p.Detail, want)
		}
		if errors.Is(test.err, held) && len(p.Holders) != 1 {
			t.Errorf("%v: no holders", test.err)
		}
	}
}

func TestAPullIsNotToldWhatOnlyAPushCanDo(t *testing.T) {
	for _, err := range []error{&driver.HeldError{}, driver.ErrFreezing, swapper.ErrBusy, fmt.Errorf("%w: %w", swapper.ErrBusy, &driver.HeldError{})} {
		p := newProblem(err, verbPull)
		if p.Exit != 75 || p.Hint == "" || strings.Contains(p.Hint, "force") || strings.Contains(p.Hint, "timeout") {
			t.Errorf("%v: exit %d, hint %q", err, p.Exit, p.Hint)
		}
	}
}

func TestDurabilityUnknownSaysThatItIsSwapped(t *testing.T) {
	p := newProblem(swapper.ErrDurabilityUnknown, verbPush)
	if want := "the new database IS live"; len(p.Hint) < len(want) || p.Hint[:len(want)] != want {
		t.Errorf("hint %q", p.Hint)
	}
}
