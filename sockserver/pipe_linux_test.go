package sockserver

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// newPipe returns both ends of a pipe.
func newPipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// startForPipes starts a server with a database of one row, and returns the content of
// another, of 1000.
func startForPipes(t *testing.T, change func(*api)) (live *sql.DB, content []byte, s *Server) {
	dir := shortDir(t)
	live = openDatabase(t, dir+"/db", 1)
	makeDatabase(t, dir+"/new", 1000)
	content, err := os.ReadFile(dir + "/new")
	must(t, err)
	return live, content, startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, change)
}

func TestADatabaseIsPushedThroughThePipeItself(t *testing.T) {
	live, content, s := startForPipes(t, func(a *api) {
		a.push = func(ctx context.Context, db *driver.Database, src io.Reader, opts swapper.PushOptions) (swapper.Report, error) {
			if _, ok := src.(transfer.PipeSource); !ok {
				t.Errorf("the swapper got a %T", src)
			}
			return swapper.Push(ctx, db, src, opts)
		}
	})
	r, w := newPipe(t)
	go func() { w.Write(content); w.Close() }()
	report, err := newTestClient(t, s).Push(t.Context(), TheDatabase, r, PushParams{Digest: true})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Swapped || report.Bytes != int64(len(content)) || mustDigest(t, report.SHA256) != digestOf(string(content)) {
		t.Errorf("got %+v of %d bytes", report, len(content))
	}
	if n := rowsIn(t, live); n != 1000 {
		t.Errorf("%d rows are live", n)
	}
}

func TestWhatAPipeBringsIsNoDatabaseUnlessItIsWhole(t *testing.T) {
	live, content, s := startForPipes(t, nil)
	for name, test := range map[string]struct {
		bytes []byte
		size  int64
	}{
		"nothing":                  {nil, 0},
		"a few bytes":              {content[:10], 0},
		"no database":              {bytes.Repeat([]byte("x"), 200), 0},
		"half of one":              {content[:len(content)/2], 0},
		"less than was announced":  {content, int64(len(content)) + 4096},
		"longer than its header":   {append(content[:len(content):len(content)], content...), 0},
		"more than was announced":  {append(content[:len(content):len(content)], content...), int64(len(content))},
		"header, and nothing else": {content[:100], 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := newPipe(t)
			go func() { w.Write(test.bytes); w.Close() }()
			_, err := newTestClient(t, s).Push(t.Context(), TheDatabase, r, PushParams{Size: test.size, SkipIntegrityCheck: true})
			if p, ok := errors.AsType[*Problem](err); !ok || p.Type != ProblemBad {
				t.Errorf("got %v", err)
			}
		})
	}
	if n := rowsIn(t, live); n != 1 {
		t.Errorf("%d rows are live", n)
	}
}

func TestAPushWhoseClientLeavesLetsGoOfThePipe(t *testing.T) {
	live, content, s := startForPipes(t, nil)
	r, w := newPipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	pushed := make(chan error, 1)
	go func() {
		_, err := newTestClient(t, s).Push(ctx, TheDatabase, r, PushParams{})
		r.Close()
		pushed <- err
	}()
	_, err := w.Write(content[:len(content)/2])
	must(t, err)
	testenv.Until(t, "the server has read what there is", func() bool { return unread(t, w) == 0 })
	cancel()
	if err := <-pushed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	testenv.Until(t, "the pipe has no reader", func() bool {
		_, err := w.Write([]byte("x"))
		return errors.Is(err, syscall.EPIPE)
	})
	if n := rowsIn(t, live); n != 1 {
		t.Errorf("%d rows are live", n)
	}
}

func TestAPipeThatBringsNothingIsGivenUp(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 1)
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}, StallTimeout: 50 * time.Millisecond}, nil)
	r, w := newPipe(t)
	_, err := w.Write([]byte("SQLite format 3\x00"))
	must(t, err)
	_, err = newTestClient(t, s).Push(t.Context(), TheDatabase, r, PushParams{})
	if p, ok := errors.AsType[*Problem](err); !ok || p.Type != ProblemStalled {
		t.Errorf("got %v", err)
	}
}

// large is openDatabase with more in it than a pipe holds.
func large(t testing.TB, path string) *sql.DB {
	t.Helper()
	db := openDatabase(t, path, 10)
	_, err := db.Exec("CREATE TABLE large AS SELECT zeroblob(4000000) AS v")
	must(t, err)
	return db
}

// pullInto begins a pull into w, which is closed in its end, and returns once the
// snapshot is taken.
func pullInto(t testing.TB, ctx context.Context, s *Server, w *os.File, params SnapshotParams) (pulled <-chan error) {
	t.Helper()
	begun, done := make(chan struct{}), make(chan error, 1)
	params.Begin = func(int64) { close(begun) }
	go func() {
		_, err := newTestClient(t, s).Snapshot(ctx, TheDatabase, w, params)
		w.Close()
		done <- err
	}()
	select {
	case <-begun:
	case err := <-done:
		t.Fatal(err)
	}
	return done
}

func TestAPullIntoAPipeThatNobodyReadsYetHoldsNothingUp(t *testing.T) {
	for _, digest := range []bool{false, true} {
		dir := shortDir(t)
		live := large(t, dir+"/db")
		s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, func(a *api) {
			a.pull = func(ctx context.Context, db *driver.Database, dst io.Writer, opts swapper.PullOptions) (swapper.Report, error) {
				if _, ok := dst.(transfer.PipeDest); !ok {
					t.Errorf("the swapper got a %T", dst)
				}
				return swapper.Pull(ctx, db, dst, opts)
			}
		})
		r, w := newPipe(t)
		pulled := pullInto(t, t.Context(), s, w, SnapshotParams{Digest: digest})
		// The log can be emptied, and the database pushed over: no transaction is open.
		_, err := live.Exec("INSERT INTO t (v) VALUES ('later')")
		must(t, err)
		var busy, frames, moved int
		must(t, live.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved))
		if busy != 0 || frames != 0 {
			t.Errorf("the log can't be emptied: busy %d, %d frames", busy, frames)
		}
		copied, err := io.ReadAll(r)
		must(t, err)
		must(t, <-pulled)
		must(t, os.WriteFile(dir+"/copy", copied, 0o600))
		if n := rowsIn(t, reopen(t, dir+"/copy")); n != 10 {
			t.Errorf("the copy has %d rows", n)
		}
	}
}

func TestAPullIntoAPipeEndsWithItsReader(t *testing.T) {
	dir := shortDir(t)
	large(t, dir+"/db")
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	r, w := newPipe(t)
	pulled := pullInto(t, t.Context(), s, w, SnapshotParams{})
	_, err := io.ReadFull(r, make([]byte, 100))
	must(t, err)
	r.Close()
	if err := <-pulled; !errors.Is(err, syscall.EPIPE) {
		t.Errorf("got %v", err)
	}
}

func TestAPullIntoAPipeEndsWithItsClient(t *testing.T) {
	dir := shortDir(t)
	large(t, dir+"/db")
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	r, w := newPipe(t)
	ctx, cancel := context.WithCancel(t.Context())
	pulled := pullInto(t, ctx, s, w, SnapshotParams{})
	cancel()
	if err := <-pulled; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil { // ends only if the server lets go of it, too
		t.Error(err)
	}
}

func TestAPullIntoAPipeThatNobodyReadsIsGivenUp(t *testing.T) {
	dir := shortDir(t)
	large(t, dir+"/db")
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}, StallTimeout: 50 * time.Millisecond}, nil)
	r, w := newPipe(t)
	if err := <-pullInto(t, t.Context(), s, w, SnapshotParams{}); !errors.Is(err, ErrIncomplete) {
		t.Errorf("got %v", err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Error(err)
	}
}

func TestAnOlderServerThatTakesNoPipeGetsTheBytes(t *testing.T) {
	got := make(chan string, 1)
	c := fakeServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(headerDescriptor) != "" {
			w.Header().Set("Content-Type", problemMediaType)
			w.WriteHeader(http.StatusBadRequest)
			json.NewEncoder(w).Encode(Problem{Type: ProblemDescriptor, Status: http.StatusBadRequest, Detail: "the descriptor is of a pipe"})
			return
		}
		answerByBody(t, w, r, got)
	})
	r, w := newPipe(t)
	_, err := w.WriteString("0123456789")
	must(t, err)
	must(t, w.Close())
	if _, err := c.Push(t.Context(), TheDatabase, r, PushParams{}); err != nil {
		t.Fatal(err)
	}
	if body := <-got; body != "0123456789" {
		t.Errorf("it got %q", body)
	}
	r, w = newPipe(t)
	if _, err := c.Snapshot(t.Context(), TheDatabase, w, SnapshotParams{}); err != nil {
		t.Fatal(err)
	}
	must(t, w.Close())
	if content, err := io.ReadAll(r); err != nil || string(content) != "snapshot" {
		t.Errorf("its snapshot is %q, %v", content, err)
	}
}

// unread returns how many bytes are in a pipe.
func unread(t testing.TB, pipe *os.File) (n int) {
	t.Helper()
	raw, err := pipe.SyscallConn()
	must(t, err)
	var ctlErr error
	must(t, raw.Control(func(fd uintptr) { n, ctlErr = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }))
	must(t, ctlErr)
	return n
}
