package sockserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"hotswap/driver"
	"hotswap/internal/extents"
	"hotswap/internal/fdpass"
	"hotswap/internal/printable"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

const problemMediaType = "application/problem+json"

// statusClientGone is logged for a command whose client left.
const statusClientGone = 499

// ProblemType names a kind of problem. It is stable: it is what a program should
// compare.
type ProblemType string

// The problems that a server answers with. The live database is unchanged unless
// the problem's Report has Swapped set; after ProblemOutcome it is not known.
const (
	// The request can't be understood, or names nothing.
	ProblemBadRequest ProblemType = "urn:hotswap:problem:bad-request"
	// Another command of that id is in progress.
	ProblemIDInUse ProblemType = "urn:hotswap:problem:id-in-use"
	// The peer's user is not admitted to the socket, or a browser may not do this.
	ProblemNotAllowed ProblemType = "urn:hotswap:problem:peer-not-allowed"
	// The path is not one of a managed database.
	ProblemUnmanaged ProblemType = "urn:hotswap:problem:not-managed"
	// The database to pull has no file yet.
	ProblemNotExist ProblemType = "urn:hotswap:problem:no-database-yet"
	// The new database is corrupt, truncated, empty, or refused by the program.
	ProblemBad ProblemType = "urn:hotswap:problem:bad-database"
	// The new database's schema differs from the live one's.
	ProblemSchema ProblemType = "urn:hotswap:problem:schema-differs"
	// The new database has rows that violate a constraint of their own table.
	ProblemConstraint ProblemType = "urn:hotswap:problem:constraint-violated"
	// The body was truncated, or is not compressed as it says.
	ProblemTruncated ProblemType = "urn:hotswap:problem:body-truncated"
	// The passed descriptor can't be used.
	ProblemDescriptor ProblemType = "urn:hotswap:problem:descriptor"
	// The body is not what its digest says.
	ProblemDigest ProblemType = "urn:hotswap:problem:digest-mismatch"
	// The body is not a patch.
	ProblemPatch ProblemType = "urn:hotswap:problem:bad-patch"
	// The held snapshot that the request names is not there (any more).
	ProblemNotHeld ProblemType = "urn:hotswap:problem:not-held"
	// Nothing was received or sent for Config.StallTimeout.
	ProblemStalled ProblemType = "urn:hotswap:problem:stalled"
	// The live database is not the one of the request's If-Match.
	ProblemChanged ProblemType = "urn:hotswap:problem:changed"
	// Something held the database for longer than the timeout.
	ProblemHeld ProblemType = "urn:hotswap:problem:held"
	// Another push, another process, or too many clients are in the way.
	ProblemBusy ProblemType = "urn:hotswap:problem:busy"
	// The program lacks a right to the database or its directory.
	ProblemPermission ProblemType = "urn:hotswap:problem:permission"
	// The disk is too full.
	ProblemNoSpace ProblemType = "urn:hotswap:problem:no-space"
	// The live file is of a kind that can't be replaced.
	ProblemTarget ProblemType = "urn:hotswap:problem:target"
	// Swapped, but not confirmed by the disk.
	ProblemDurability ProblemType = "urn:hotswap:problem:durability-unknown"
	// Swapped or not: see swapper.ErrOutcomeUnknown.
	ProblemOutcome ProblemType = "urn:hotswap:problem:outcome-unknown"
	// The fleet that the program shows could not be read or changed.
	ProblemFleet ProblemType = "urn:hotswap:problem:fleet"
	// The client left.
	ProblemInterrupted ProblemType = "urn:hotswap:problem:interrupted"
	// The server is stopping.
	ProblemStopping ProblemType = "urn:hotswap:problem:stopping"
	// Anything else; the program's log has more.
	ProblemInternal ProblemType = "urn:hotswap:problem:internal"
)

// Temporary reports whether the same request may well succeed a moment later:
// the database or the server was busy, or held, or stopping. Such an answer has
// a Retry-After field.
func (t ProblemType) Temporary() bool {
	return t == ProblemHeld || t == ProblemBusy || t == ProblemStopping
}

// Problem is an error as the server sends it: an RFC 9457 problem detail.
type Problem struct {
	Type ProblemType `json:"type"`
	// Title is the type in a few words.
	Title string `json:"title"`
	// Status is the HTTP status code.
	Status int `json:"status"`
	// Detail says what happened and to which file.
	Detail string `json:"detail"`
	// Hint says what to do about it; may be empty.
	Hint string `json:"hint,omitempty"`
	// Command is the id of the command.
	Command string `json:"command,omitempty"`
	// Holders are what held the database, with ProblemHeld.
	Holders []driver.Holder `json:"holders,omitempty"`
	// Schema says how the schemas differ, with ProblemSchema.
	Schema *swapper.SchemaError `json:"schema,omitempty"`
	// Report says how far a push or a pull got; nil if it did not begin.
	Report *swapper.Report `json:"report,omitempty"`
}

// Error returns the detail, and the hint in parentheses if there is one.
func (p *Problem) Error() string {
	if p.Hint == "" {
		return p.Detail
	}
	return p.Detail + " (" + p.Hint + ")"
}

// Is reports whether target is [swapper.ErrOutcomeUnknown] and p says so, for
// errors.Is.
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
		"outcome unknown", ""},
	{isErr(errBodyTruncated), ProblemTruncated, http.StatusBadRequest,
		"the body was truncated", "send all of it again"},
	{isErr(errDigestMismatch), ProblemDigest, http.StatusBadRequest,
		"the body differs from its digest", "send it again"},
	{isErr(transfer.ErrPatched), ProblemDigest, http.StatusBadRequest,
		"the patched snapshot differs from its digest", "send the whole database"},
	{isErr(extents.ErrPatch), ProblemPatch, http.StatusBadRequest,
		"the body is not a patch", "send the whole database"},
	{isErr(errEncoding), ProblemTruncated, http.StatusBadRequest,
		"the body is not what its encoding says", "send it again, or as it is"},
	{isErr(transfer.ErrNotHeld), ProblemNotHeld, http.StatusGone,
		"the snapshot is not held", "have another one taken, or send the whole database"},
	{isErr(errBodyStalled), ProblemStalled, http.StatusRequestTimeout,
		"the client stalled", "make the source faster, or write it to a file first"},
	{isErr(fdpass.ErrStalled), ProblemStalled, http.StatusRequestTimeout,
		"the file system stalled", "check that the file system responds"},
	{isErr(fdpass.ErrPipeStalled), ProblemStalled, http.StatusRequestTimeout,
		"the pipe stalled", "make the other end of the pipe faster, or copy through a file"},
	{isErr(fdpass.ErrNoReader), ProblemInterrupted, statusClientGone,
		"the pipe has no reader", ""},
	{isUnusable, ProblemDescriptor, http.StatusBadRequest,
		"the descriptor can't be used", "pass one open descriptor of a regular file or a pipe, or send the bytes as the body"},
	{isErr(errStopping), ProblemStopping, http.StatusServiceUnavailable,
		"the server is stopping", "try again once the program is running again"},
	{isErr(swapper.ErrSchema), ProblemSchema, http.StatusUnprocessableEntity,
		"the schema differs", ""},
	{isErr(swapper.ErrConstraint), ProblemConstraint, http.StatusUnprocessableEntity,
		"a constraint is violated", ""},
	{isErr(swapper.ErrBadDatabase), ProblemBad, http.StatusUnprocessableEntity,
		"the database is bad", ""},
	{isErr(swapper.ErrChanged), ProblemChanged, http.StatusPreconditionFailed,
		"the database has changed", ""},
	{isHeld, ProblemHeld, http.StatusServiceUnavailable,
		"the database is held", "try again, allow a longer timeout, or force the swap"},
	{isErr(driver.ErrFreezing), ProblemBusy, http.StatusConflict,
		"the database is busy", "try again once the other operation is done"},
	{isErr(swapper.ErrBusy), ProblemBusy, http.StatusConflict,
		"the database is busy", "try again once the other operation is done"},
	{isErr(swapper.ErrNotPermitted), ProblemPermission, http.StatusForbidden,
		"the program lacks permission", ""},
	{isErr(swapper.ErrNoSpace), ProblemNoSpace, http.StatusInsufficientStorage,
		"not enough space", ""},
	{isErr(swapper.ErrTarget), ProblemTarget, http.StatusConflict,
		"the target can't be replaced", ""},
	{isErr(swapper.ErrNotExist), ProblemNotExist, http.StatusNotFound,
		"the database does not exist yet", ""},
	{isErr(context.Canceled), ProblemInterrupted, statusClientGone,
		"the command was interrupted", ""},
	{isErr(context.DeadlineExceeded), ProblemInterrupted, statusClientGone,
		"the command timed out", ""},
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

// newProblem returns the problem of a command's error. An err that wraps a
// *Problem is that one.
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
	if differs, ok := errors.AsType[*swapper.SchemaError](err); ok {
		p.Schema = differs
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

// badRequest returns the problem of a request that can't be understood.
func badRequest(format string, args ...any) *Problem {
	return &Problem{
		Type:   ProblemBadRequest,
		Title:  "bad request",
		Status: http.StatusBadRequest,
		Detail: fmt.Sprintf(format, args...),
	}
}

// tooMany returns the problem of a client beyond a limit.
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
	if p.Type.Temporary() {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(p.Status)
	w.Write(body)
}
