package sockserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"hotswap/driver"
	"hotswap/internal/fdpass"
	"hotswap/internal/printable"
	"hotswap/swapper"
)

const problemMediaType = "application/problem+json"

// statusClientGone is what the log shows for a command whose client left.
const statusClientGone = 499

// ProblemType names a sort of problem; it is stable, and what a program
// should compare.
type ProblemType string

// The types of problem that a server answers with.
const (
	ProblemBadRequest  ProblemType = "urn:hotswap:problem:bad-request"
	ProblemNotAllowed  ProblemType = "urn:hotswap:problem:peer-not-allowed"
	ProblemUnmanaged   ProblemType = "urn:hotswap:problem:not-managed"
	ProblemNotExist    ProblemType = "urn:hotswap:problem:no-database-yet"
	ProblemBad         ProblemType = "urn:hotswap:problem:bad-database"
	ProblemSchema      ProblemType = "urn:hotswap:problem:schema-differs"
	ProblemConstraint  ProblemType = "urn:hotswap:problem:constraint-violated"
	ProblemCut         ProblemType = "urn:hotswap:problem:body-cut"
	ProblemDescriptor  ProblemType = "urn:hotswap:problem:descriptor"
	ProblemDigest      ProblemType = "urn:hotswap:problem:digest-mismatch"
	ProblemStalled     ProblemType = "urn:hotswap:problem:stalled"
	ProblemHeld        ProblemType = "urn:hotswap:problem:held"
	ProblemBusy        ProblemType = "urn:hotswap:problem:busy"
	ProblemPermission  ProblemType = "urn:hotswap:problem:permission"
	ProblemNoSpace     ProblemType = "urn:hotswap:problem:no-space"
	ProblemTarget      ProblemType = "urn:hotswap:problem:target"
	ProblemDurability  ProblemType = "urn:hotswap:problem:durability-unknown"
	ProblemOutcome     ProblemType = "urn:hotswap:problem:outcome-unknown"
	ProblemInterrupted ProblemType = "urn:hotswap:problem:interrupted"
	ProblemStopping    ProblemType = "urn:hotswap:problem:stopping"
	ProblemInternal    ProblemType = "urn:hotswap:problem:internal"
)

// Temporary reports whether the same request may well succeed a moment later:
// the database or the server was busy, or held, or stopping. Such an answer has
// a Retry-After field.
func (t ProblemType) Temporary() bool {
	return t == ProblemHeld || t == ProblemBusy || t == ProblemStopping
}

// Problem is an error as it travels: an RFC 9457 problem detail.
type Problem struct {
	Type   ProblemType `json:"type"`
	Title  string      `json:"title"`
	Status int         `json:"status"`
	// Detail says what happened, and to which file.
	Detail string `json:"detail"`
	// Hint says what to do about it; it may be empty.
	Hint string `json:"hint,omitempty"`
	// Command is the command's id.
	Command string `json:"command,omitempty"`
	// Holders are what kept the database from being drained.
	Holders []driver.Holder `json:"holders,omitempty"`
	// Report says how far a push or a pull came.
	Report *swapper.Report `json:"report,omitempty"`
}

// Error implements error: the detail, and the hint if there is one.
func (p *Problem) Error() string {
	if p.Hint == "" {
		return p.Detail
	}
	return p.Detail + " (" + p.Hint + ")"
}

// Is makes errors.Is find [swapper.ErrOutcomeUnknown], whichever end of the
// connection did not learn the outcome.
func (p *Problem) Is(target error) bool {
	return p.Type == ProblemOutcome && target == swapper.ErrOutcomeUnknown
}

// errStopping is the cause of a command that the server's Close aborted.
var errStopping = errors.New("the server is stopping")

// problemTable maps an error to a problem: the first row whose error it is
// decides, so the narrower ones come first.
var problemTable = []struct {
	is     func(error) bool
	typ    ProblemType
	status int
	title  string
	hint   string // for a push's error that brings none of its own
}{
	{isErr(swapper.ErrDurabilityUnknown), ProblemDurability, http.StatusInternalServerError,
		"swapped, durability unknown",
		"the new database IS live; a power loss may bring the old one back, so check the disk and push again"},
	{isErr(swapper.ErrOutcomeUnknown), ProblemOutcome, http.StatusInternalServerError,
		"swapped or not: unknown", ""},
	{isErr(errBodyCut), ProblemCut, http.StatusBadRequest,
		"the body was cut short", "send it again, whole"},
	{isErr(errDigestMismatch), ProblemDigest, http.StatusBadRequest,
		"the body differs from its digest", "send it again"},
	{isErr(errBodyStalled), ProblemStalled, http.StatusRequestTimeout,
		"the client stalled", "make the source faster, or write it to a file first"},
	{isErr(fdpass.ErrStalled), ProblemStalled, http.StatusRequestTimeout,
		"the file system stalled", "make sure that the file's file system answers"},
	{isUnusable, ProblemDescriptor, http.StatusBadRequest,
		"the descriptor can't be used", "pass one open descriptor of a regular file, or send the bytes as the body"},
	{isErr(errStopping), ProblemStopping, http.StatusServiceUnavailable,
		"the server is stopping", "try again once the program runs again"},
	{isErr(swapper.ErrSchema), ProblemSchema, http.StatusUnprocessableEntity,
		"the schema differs", ""},
	{isErr(swapper.ErrConstraint), ProblemConstraint, http.StatusUnprocessableEntity,
		"a constraint is violated", ""},
	{isErr(swapper.ErrBadDatabase), ProblemBad, http.StatusUnprocessableEntity,
		"the database is bad", ""},
	{isHeld, ProblemHeld, http.StatusServiceUnavailable,
		"the database is held", "try again, allow a longer timeout, or force the swap"},
	{isErr(driver.ErrFreezing), ProblemBusy, http.StatusConflict,
		"the database is busy", "try again once the other operation is done"},
	{isErr(swapper.ErrBusy), ProblemBusy, http.StatusConflict,
		"the database is busy", "try again once the other operation is done"},
	{isErr(swapper.ErrNotPermitted), ProblemPermission, http.StatusForbidden,
		"the program is not permitted", ""},
	{isErr(swapper.ErrNoSpace), ProblemNoSpace, http.StatusInsufficientStorage,
		"not enough space", ""},
	{isErr(swapper.ErrTarget), ProblemTarget, http.StatusConflict,
		"the target can't be replaced", ""},
	{isErr(swapper.ErrNotExist), ProblemNotExist, http.StatusNotFound,
		"the database does not exist yet", ""},
	{isErr(context.Canceled), ProblemInterrupted, statusClientGone,
		"the command was interrupted", ""},
	{isErr(context.DeadlineExceeded), ProblemInterrupted, statusClientGone,
		"the command ran out of time", ""},
}

func isErr(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func isHeld(err error) bool {
	_, held := errors.AsType[*driver.HeldError](err)
	return held
}

// pullHints are for a pull's error that brings no hint of its own: it has no timeout
// to set, and forces nothing.
var pullHints = map[ProblemType]string{
	ProblemHeld: "try again once what holds it has ended",
	ProblemBusy: "try again once the swap, or whatever has the database locked, is done",
}

// newProblem makes the problem of an error of a command. An err that has a *Problem
// in it is that one.
func newProblem(err error, verb string) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		copied := *p
		return &copied
	}
	p := &Problem{
		Type:   ProblemInternal,
		Title:  "the operation failed",
		Status: http.StatusInternalServerError,
	}
	p.Detail, p.Hint = detailAndHint(err)
	for _, row := range problemTable {
		if !row.is(err) {
			continue
		}
		p.Type, p.Title, p.Status = row.typ, row.title, row.status
		if p.Hint == "" {
			p.Hint = row.hint
			if hint, ok := pullHints[p.Type]; ok && verb == verbPull {
				p.Hint = hint
			}
		}
		break
	}
	if held, ok := errors.AsType[*driver.HeldError](err); ok {
		p.Holders = held.Holders
	}
	return p
}

// detailAndHint takes the hint out of a swapper's error text: a problem has a
// place of its own for it.
func detailAndHint(err error) (detail, hint string) {
	outer, ok := err.(*swapper.Error)
	if !ok {
		return err.Error(), ""
	}
	bare := *outer
	bare.Hint = ""
	return bare.Error(), outer.Hint
}

// badRequest is the problem of a request that can't be understood.
func badRequest(format string, args ...any) *Problem {
	return &Problem{
		Type:   ProblemBadRequest,
		Title:  "bad request",
		Status: http.StatusBadRequest,
		Detail: fmt.Sprintf(format, args...),
	}
}

// tooMany is the problem of a client that others leave no room for.
func tooMany(format string, args ...any) *Problem {
	return &Problem{
		Type:   ProblemBusy,
		Title:  "the server is busy",
		Status: http.StatusServiceUnavailable,
		Detail: fmt.Sprintf(format, args...),
		Hint:   "try again once one of them has ended",
	}
}

// write answers with p. Nothing can be done about a client that does not take it.
func (p *Problem) write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil { // a holder's query is not UTF-8: json replaces that; nothing else can fail
		body = []byte(`{}`)
	}
	body = append(printable.JSON(body), '\n')
	h := w.Header()
	h.Del("Trailer")
	h.Set("Content-Type", problemMediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if p.Type.Temporary() {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	w.Write(body)
}
