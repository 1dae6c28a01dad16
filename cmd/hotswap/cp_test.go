package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/sockserver"
	"hotswap/swapper"
)

// fakeProgram serves a snapshot as the test wants it.
func fakeProgram(t *testing.T, snapshot http.HandlerFunc) (socket, database string) {
	t.Helper()
	mux, socket, database := bareProgram(t)
	mux.HandleFunc("/v1/snapshot", snapshot)
	return socket, database
}

// bareProgram says that it manages a database, and serves what the test adds.
func bareProgram(t *testing.T) (mux *http.ServeMux, socket, database string) {
	t.Helper()
	mux = http.NewServeMux()
	mux.HandleFunc("/v1/databases", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode([]sockserver.DatabaseInfo{{Path: database}})
	})
	socket, database = serveHandler(t, mux)
	return mux, socket, database
}

// serveHandler serves at a socket; database is a path beside it.
func serveHandler(t *testing.T, handler http.Handler) (socket, database string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return socket, filepath.Join(dir, "live.db")
}

// runCaptured runs a command line in this process.
func runCaptured(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	files := make([]*os.File, 2)
	for i := range files {
		f, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	code = run(ctx, args, &streams{in: os.Stdin, out: files[0], err: files[1]})
	read := func(f *os.File) string {
		content, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	return code, read(files[0]), read(files[1])
}

func TestFailedPullLeavesTheOldFileAndNothingElse(t *testing.T) {
	interrupt := func() {}
	for name, test := range map[string]struct {
		words    string
		snapshot http.HandlerFunc
	}{
		"cut": {"the server broke off after 4 bytes", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Content-Digest")
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}},
		"without a digest": {"without a digest after them", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "whole?")
		}},
		"with another digest": {"its digest is", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "Content-Digest")
			io.WriteString(w, "changed")
			w.Header().Set("Content-Digest", "sha-256=:"+strings.Repeat("A", 43)+"=:")
		}},
		"interrupted": {"interrupted", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			interrupt()
			<-r.Context().Done()
		}},
	} {
		for _, existed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/existed=%t", name, existed), func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				interrupt = func() { cancel(errInterrupted) }
				socket, database := fakeProgram(t, test.snapshot)
				dir := t.TempDir()
				dst := filepath.Join(dir, "copy.db")
				note := "was not created"
				if existed {
					note = "is unchanged"
					if err := os.WriteFile(dst, []byte("old"), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				code, stdout, stderr := runCaptured(t, ctx, "cp", "-b", "--socket="+socket, database, dst)
				if code != exitFailed || stdout != "" || !strings.Contains(stderr, test.words) || !strings.Contains(stderr, note) {
					t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
				}
				content, _ := os.ReadFile(dst)
				left, err := os.ReadDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				if existed && (string(content) != "old" || len(left) != 1) || !existed && len(left) != 0 {
					t.Errorf("%q with %q was left", left, content)
				}
			})
		}
	}
}

func TestOutcomeOfAPushIsSaidAsFarAsItIsKnown(t *testing.T) {
	interrupted := fmt.Errorf("%w: %w", swapper.ErrOutcomeUnknown, errInterrupted)
	lost := fmt.Errorf("%w: %w", swapper.ErrOutcomeUnknown, sockserver.ErrConnectionLost)
	lostEarly := fmt.Errorf("%w: EOF", sockserver.ErrConnectionLost)
	last := func(line sockserver.Line) *follower { return &follower{last: &line} }
	refused := &sockserver.Problem{Detail: "refused", Type: sockserver.ProblemHeld, Report: &swapper.Report{}}
	halfDone := &sockserver.Problem{Detail: "it IS live", Type: sockserver.ProblemDurability, Report: &swapper.Report{Swapped: true}}
	for name, test := range map[string]struct {
		err   error
		lines *follower
		exit  int
		words []string // of the message; none: it was done
	}{
		"refused":                             {refused, &follower{}, exitTryAgain, []string{"refused"}},
		"refused before it began":             {&sockserver.Problem{Detail: "no", Type: sockserver.ProblemBadRequest}, &follower{}, exitUsage, []string{"no", "/db is unchanged"}},
		"swapped, durability unknown":         {halfDone, &follower{}, exitFailed, []string{"it IS live"}},
		"interrupted, unheard of":             {interrupted, &follower{}, exitFailed, []string{"interrupted; whether /db was swapped is unknown", "`hotswap status prod:/db`"}},
		"interrupted, refused":                {interrupted, last(sockserver.Line{Problem: refused}), exitFailed, []string{"interrupted", "/db is unchanged"}},
		"interrupted, half done":              {interrupted, last(sockserver.Line{Problem: halfDone}), exitFailed, []string{"it IS live"}},
		"interrupted, done":                   {interrupted, last(sockserver.Line{Report: &swapper.Report{Swapped: true}}), exitOK, nil},
		"interrupted, renamed":                {interrupted, &follower{renamed: true}, exitFailed, []string{"interrupted; the new database went live in /db"}},
		"interrupted while sending":           {errInterrupted, &follower{}, exitFailed, []string{"interrupted", "/db is unchanged"}},
		"connection lost":                     {lost, &follower{}, exitFailed, []string{"connection lost before the server answered; whether /db was swapped is unknown"}},
		"connection lost, done":               {lost, last(sockserver.Line{Report: &swapper.Report{Swapped: true}}), exitOK, nil},
		"connection lost, refused":            {lost, last(sockserver.Line{Problem: refused}), exitTryAgain, []string{"refused"}},
		"connection lost while sending":       {lostEarly, &follower{}, exitNoServer, []string{"connection lost", "/db is unchanged"}},
		"the source failed while it was read": {failf(exitTryAgain, "it changed").withHint("a hint"), &follower{}, exitTryAgain, []string{"it changed", "a hint", "/db is unchanged"}},
	} {
		err := outcome(test.err, test.lines, "/db", "hotswap status prod:/db")
		if late, ok := errors.AsType[*doneAnyway](err); ok {
			if test.words != nil || !late.report.Swapped {
				t.Errorf("%s: taken as done", name)
			}
			continue
		}
		var said strings.Builder
		printError(&said, err)
		for _, words := range test.words {
			if !strings.Contains(said.String(), words) {
				t.Errorf("%s: %q does not say %q", name, said.String(), words)
			}
		}
		if got := exitCode(err); got != test.exit || test.words == nil {
			t.Errorf("%s: exit %d, want %d", name, got, test.exit)
		}
		for line := range strings.Lines(said.String()) {
			if !strings.HasPrefix(line, "hotswap: ") {
				t.Errorf("%s: a line without its prefix: %q", name, line)
			}
		}
	}
}

func TestEachTypeOfProblemHasItsExitCode(t *testing.T) {
	for typ, want := range map[sockserver.ProblemType]int{
		sockserver.ProblemBadRequest:  exitUsage,
		sockserver.ProblemUnmanaged:   exitUsage,
		sockserver.ProblemBad:         exitBadDatabase,
		sockserver.ProblemSchema:      exitBadDatabase,
		sockserver.ProblemConstraint:  exitBadDatabase,
		sockserver.ProblemTruncated:   exitBadDatabase,
		sockserver.ProblemDigest:      exitBadDatabase,
		sockserver.ProblemHeld:        exitTryAgain,
		sockserver.ProblemBusy:        exitTryAgain,
		sockserver.ProblemStopping:    exitTryAgain,
		sockserver.ProblemNotAllowed:  exitNotAllowed,
		sockserver.ProblemPermission:  exitNotAllowed,
		sockserver.ProblemNotExist:    exitFailed,
		sockserver.ProblemDescriptor:  exitFailed,
		sockserver.ProblemStalled:     exitFailed,
		sockserver.ProblemNoSpace:     exitFailed,
		sockserver.ProblemTarget:      exitFailed,
		sockserver.ProblemDurability:  exitFailed,
		sockserver.ProblemOutcome:     exitFailed,
		sockserver.ProblemInterrupted: exitFailed,
		sockserver.ProblemInternal:    exitFailed,
		"of another server":           exitFailed,
	} {
		if got := exitCode(&sockserver.Problem{Type: typ}); got != want {
			t.Errorf("%s: %d, want %d", typ, got, want)
		}
	}
}

func TestDestinationWithTheLongestNameHasRoomForItsTemporaryFile(t *testing.T) {
	dst := side{path: filepath.Join(t.TempDir(), strings.Repeat("x", 255))}
	d, err := (&cpCmd{}).newFile(dst, side{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.commit(); err != nil {
		t.Fatal(err)
	}
}

func TestSizesAreShownInTheUnitThatSuits(t *testing.T) {
	for size, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 5 << 30: "5.0 GiB"} {
		if got := formatSize(&size); got != want {
			t.Errorf("%d: got %q, want %q", size, got, want)
		}
	}
	if got := formatSize(nil); got != "no file" {
		t.Errorf("none: got %q", got)
	}
}
