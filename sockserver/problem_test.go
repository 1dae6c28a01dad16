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
	}{
		{swapper.ErrBadDatabase, ProblemBad, http.StatusUnprocessableEntity},
		{fmt.Errorf("%w: %w", swapper.ErrSchema, swapper.ErrBadDatabase), ProblemSchema, http.StatusUnprocessableEntity},
		{fmt.Errorf("%w: %w", swapper.ErrBusy, held), ProblemHeld, http.StatusServiceUnavailable},
		{swapper.ErrBusy, ProblemBusy, http.StatusConflict},
		{driver.ErrFreezing, ProblemBusy, http.StatusConflict},
		{swapper.ErrNotPermitted, ProblemPermission, http.StatusForbidden},
		{swapper.ErrNoSpace, ProblemNoSpace, http.StatusInsufficientStorage},
		{swapper.ErrTarget, ProblemTarget, http.StatusConflict},
		{swapper.ErrNotExist, ProblemNotExist, http.StatusNotFound},
		{fmt.Errorf("%w: %w", swapper.ErrDurabilityUnknown, swapper.ErrNoSpace), ProblemDurability, http.StatusInternalServerError},
		{fmt.Errorf("%w: %w", swapper.ErrBadDatabase, errBodyTruncated), ProblemTruncated, http.StatusBadRequest},
		{fmt.Errorf("%w: %w", swapper.ErrBadDatabase, errDigestMismatch), ProblemDigest, http.StatusBadRequest},
		{errBodyStalled, ProblemStalled, http.StatusRequestTimeout},
		{fmt.Errorf("%w: %w", errStopping, context.Canceled), ProblemStopping, http.StatusServiceUnavailable},
		{context.Canceled, ProblemInterrupted, 499},
		{io.ErrClosedPipe, ProblemInternal, http.StatusInternalServerError},
	} {
		// As the swapper returns them.
		p := newProblem(&swapper.Error{Op: "swap", Path: "/db", Err: test.err, Hint: "a hint"}, verbPush)
		if p.Type != test.typ || p.Status != test.status || p.Hint != "a hint" {
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
		if !p.Type.Temporary() || p.Hint == "" || strings.Contains(p.Hint, "force") || strings.Contains(p.Hint, "timeout") {
			t.Errorf("%v: %s, hint %q", err, p.Type, p.Hint)
		}
	}
}

func TestOutcomeUnknownIsTheSwappersAtEitherEnd(t *testing.T) {
	for _, sentinel := range []error{swapper.ErrOutcomeUnknown, swapper.ErrBusy} {
		var asAnswered error = newProblem(sentinel, verbPush)
		if got, want := errors.Is(asAnswered, swapper.ErrOutcomeUnknown), sentinel == swapper.ErrOutcomeUnknown; got != want {
			t.Errorf("%v: %v", sentinel, got)
		}
	}
}

func TestSchemasThatDifferAreListedInTheProblem(t *testing.T) {
	differs := &swapper.SchemaError{Differences: []swapper.SchemaDifference{{Name: "table t", Live: "CREATE TABLE t (a)"}}}
	p := newProblem(fmt.Errorf("%w: %w", swapper.ErrSchema, differs), verbPush)
	if p.Schema != differs {
		t.Errorf("got %+v", p.Schema)
	}
}

func TestDurabilityUnknownSaysThatItIsSwapped(t *testing.T) {
	p := newProblem(swapper.ErrDurabilityUnknown, verbPush)
	if want := "the new database IS live"; len(p.Hint) < len(want) || p.Hint[:len(want)] != want {
		t.Errorf("hint %q", p.Hint)
	}
}
