package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"hotswap/driver"
	"hotswap/internal/printable"
	"hotswap/sockserver"
	"hotswap/swapper"
)

// The exit codes, after sysexits.h where it has one.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitChanged     = 3
	exitBadDatabase = 65
	exitNoServer    = 69
	exitTryAgain    = 75
	exitNotAllowed  = 77
)

// exitCodes is what each means, for --help and the manual page.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitOK, "done"},
	{exitFailed, "failed"},
	{exitUsage, "usage"},
	{exitChanged, "the live database has changed (--if-match)"},
	{exitBadDatabase, "bad database (corrupt, truncated, violates a constraint, has another schema)"},
	{exitNoServer, "no server at the socket, or its machine, or the engine of a fleet, not reached"},
	{exitTryAgain, "try again (busy, held)"},
	{exitNotAllowed, "not allowed"},
}

const exitPromise = "Unless it is 0, the live database is unchanged, or the message says which one is live."

// failure is an error with its exit code, and what to do about it.
type failure struct {
	code int
	err  error
	hint string // may be empty
	note string // what is true nevertheless; may be empty
	live liveness
}

// liveness is which database is live after a push that failed, where its
// report does not tell.
type liveness int

const (
	oldIsLive liveness = iota
	newIsLive
	liveUnknown
)

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func failf(code int, format string, args ...any) *failure {
	return &failure{code: code, err: fmt.Errorf(format, args...)}
}

func usagef(format string, args ...any) *failure {
	return failf(exitUsage, format, args...)
}

// withHint adds what to do.
func (f *failure) withHint(format string, args ...any) *failure {
	f.hint = fmt.Sprintf(format, args...)
	return f
}

// fileFailure is the failure of a file of the client's own.
func fileFailure(err error) *failure {
	if errors.Is(err, fs.ErrPermission) {
		return &failure{code: exitNotAllowed, err: err, hint: "the command opens its files with your own rights"}
	}
	return &failure{code: exitFailed, err: err}
}

// exitCode is the code for an error, nil included.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	if p, ok := errors.AsType[*sockserver.Problem](err); ok {
		return exitCodeOf(p.Type)
	}
	switch {
	case errors.Is(err, sockserver.ErrSocketPathTooLong):
		return exitUsage
	case errors.Is(err, sockserver.ErrSocketNotAllowed):
		return exitNotAllowed
	case errors.Is(err, swapper.ErrOutcomeUnknown):
		return exitFailed
	case errors.Is(err, sockserver.ErrNoServer), errors.Is(err, sockserver.ErrConnectionLost):
		return exitNoServer
	default:
		return exitFailed
	}
}

// exitCodeOf is the code for a type of problem, which may be one that this
// command does not know.
func exitCodeOf(t sockserver.ProblemType) int {
	switch t {
	case sockserver.ProblemBadRequest, sockserver.ProblemIDInUse, sockserver.ProblemUnmanaged:
		return exitUsage
	case sockserver.ProblemChanged:
		return exitChanged
	case sockserver.ProblemBad, sockserver.ProblemSchema, sockserver.ProblemConstraint, sockserver.ProblemTruncated, sockserver.ProblemDigest,
		sockserver.ProblemPatch:
		return exitBadDatabase
	case sockserver.ProblemNotAllowed, sockserver.ProblemPermission:
		return exitNotAllowed
	}
	if t.Temporary() {
		return exitTryAgain
	}
	return exitFailed
}

// explanation is an error as it is printed.
type explanation struct {
	text, hint, note string // the last two may be empty
	live             liveness
	problem          *sockserver.Problem // nil: the error is our own
}

// isElsewhere reports whether the program may have its socket at another path: there is
// none at this one, or it is dead, or it is not for commands.
func isElsewhere(err error) bool {
	return errors.Is(err, sockserver.ErrNoServer) && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, errors.ErrUnsupported)
}

// lookedIn says where a relative name of a socket was looked for.
func lookedIn(err error) string {
	failed, ok := errors.AsType[*sockserver.DialError](err)
	dir, dirErr := os.Getwd()
	if !ok || dirErr != nil || filepath.IsAbs(failed.Socket) {
		return ""
	}
	return "looked for it in " + printable.Line(dir) + ": "
}

// explain takes an error apart: what happened, what to do, and what is true
// nevertheless.
func explain(err error) explanation {
	e := explanation{text: err.Error()}
	if isElsewhere(err) {
		e.hint = lookedIn(err) + "run the command in the program's working directory, or name its socket with --socket or $" + sockserver.EnvSocket
	}
	if p, ok := errors.AsType[*sockserver.Problem](err); ok {
		e.problem, e.hint = p, p.Hint
		// The error's text ends with the problem's, which has the hint in it.
		e.text = strings.TrimSuffix(e.text, p.Error()) + p.Detail
		if p.Report != nil && p.Report.Swapped {
			e.live = newIsLive
		}
	}
	ours := ""
	for f, ok := errors.AsType[*failure](err); ok; f, ok = errors.AsType[*failure](f.err) {
		ours, e.note = cmp.Or(ours, f.hint), cmp.Or(e.note, f.note) // the outermost knows best
		e.live = max(e.live, f.live)
	}
	e.hint = cmp.Or(ours, e.hint)
	return e
}

// printError prints an error, who held the database if that is the matter,
// what to do, and what is true nevertheless. The words of the command line, which
// may name files, are shown on one line wherever they are in it.
func printError(w io.Writer, err error, args ...string) {
	e := explain(err)
	for _, text := range []*string{&e.text, &e.hint, &e.note} {
		for _, arg := range args {
			if flag, value, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(flag, "--") {
				arg = value
			}
			*text = printable.Path(*text, arg)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "hotswap: %s\n", indent(e.text))
	if e.problem != nil {
		for _, holder := range e.problem.Holders {
			if strings.Contains(e.text, holder.Query) {
				continue // the text names it already
			}
			fmt.Fprintf(&b, "hotswap:   %s\n", describeHolder(holder))
		}
	}
	for _, more := range []string{e.hint, e.note} {
		if more != "" {
			fmt.Fprintf(&b, "hotswap: %s\n", indent(more))
		}
	}
	io.WriteString(w, b.String())
}

// describeHolder says what holds a connection and, if a swap has waited for
// it, for how long at least.
func describeHolder(h driver.Holder) string {
	kind := printable.Line(string(h.Kind))
	if h.Waits {
		kind += ", maybe only waiting for another"
	}
	if h.For == 0 {
		return fmt.Sprintf("%s: %s", kind, indent(h.Query))
	}
	return fmt.Sprintf("%s, held for %s: %s", kind, roundDuration(h.For), indent(h.Query))
}

// indent keeps the lines of one message together, and shows what does not print.
func indent(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(printable.Lines(text)), "\n", "\n  ")
}

// roundDuration shows three digits or so.
func roundDuration(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond)
	default:
		return d.Round(100 * time.Nanosecond)
	}
}
