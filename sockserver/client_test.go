package sockserver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

func TestClientSaysWhyNoServerIsThere(t *testing.T) {
	dir := shortDir(t)
	makeDeadSocket(t, dir+"/dead")
	writeFile(t, dir+"/file", "")
	for _, test := range []struct {
		socket string
		is     error
		words  string
	}{
		{dir + "/missing", ErrNoServer, "there is no such socket"},
		{dir + "/dead", ErrNoServer, "nothing answers"},
		{dir + "/file", ErrNoServer, "it is a regular file"},
		{dir + "/" + strings.Repeat("x", 108), ErrSocketPathTooLong, "may have"},
	} {
		c := NewClient(ClientConfig{SocketPath: test.socket})
		_, err := c.Version(t.Context())
		var dialError *DialError
		if !errors.As(err, &dialError) || !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: got %v", test.socket, err)
		}
		if _, err := c.Push(t.Context(), TheDatabase, strings.NewReader("x"), PushParams{}); !errors.Is(err, test.is) {
			t.Errorf("push to %s: got %v", test.socket, err)
		}
	}
}

func TestClientDoesNotWaitForeverForAProgramThatIsStopped(t *testing.T) {
	path := shortDir(t) + "/s"
	l, err := net.Listen("unix", path) // connections queue up there, and nobody accepts them
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := NewClient(ClientConfig{SocketPath: path, StderrSocketPath: path})
	defer c.Close()
	c.patience = 20 * time.Millisecond
	for name, ask := range map[string]func() error{
		"version":   func() error { _, err := c.Version(t.Context()); return err },
		"databases": func() error { _, err := c.Databases(t.Context(), ""); return err },
		"lines":     func() error { _, err := c.Subscribe(t.Context(), ""); return err },
	} {
		err := ask()
		if !errors.Is(err, ErrNoServer) || !strings.Contains(err.Error(), path+": no answer within 20ms") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// fakeServer answers on a socket with a handler of the test's.
func fakeServer(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	path := shortDir(t) + "/s"
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	c := NewClient(ClientConfig{SocketPath: path, StderrSocketPath: path})
	t.Cleanup(c.Close)
	return c
}

func TestOutcomeIsUnknownOnlyOnceTheServerHadItAll(t *testing.T) {
	c := fakeServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get(paramSource) == "whole" {
			io.Copy(io.Discard, r.Body)
		} else {
			io.ReadFull(r.Body, make([]byte, 10))
		}
		panic(http.ErrAbortHandler)
	})
	_, err := c.Push(t.Context(), TheDatabase, strings.NewReader("0123456789"), PushParams{Source: "whole"})
	if !errors.Is(err, swapper.ErrOutcomeUnknown) || !errors.Is(err, ErrConnectionLost) {
		t.Errorf("whole: got %v", err)
	}
	_, err = c.Push(t.Context(), TheDatabase, io.LimitReader(zeros{}, 64<<20), PushParams{})
	if errors.Is(err, swapper.ErrOutcomeUnknown) || !errors.Is(err, ErrConnectionLost) {
		t.Errorf("cut: got %v", err)
	}
}

func TestErrorOfTheSourceAbortsThePush(t *testing.T) {
	s, seen := bodyServer(t, Config{})
	broken := errors.New("the disk is on fire")
	src := io.MultiReader(strings.NewReader("01234"), readerFunc(func([]byte) (int, error) { return 0, broken }))
	if _, err := newTestClient(t, s).Push(t.Context(), TheDatabase, src, PushParams{}); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if got := <-seen; !errors.Is(got.err, errBodyTruncated) {
		t.Errorf("the swapper's reader ended with %v", got.err)
	}
}

func TestInterruptedPushIsAborted(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	entered, aborted := make(chan struct{}), make(chan error, 1)
	s := startServer(t, dir, Config{}, func(a *api) {
		a.push = func(ctx context.Context, _ *driver.Database, src io.Reader, _ swapper.PushOptions) (swapper.Report, error) {
			io.Copy(io.Discard, src)
			close(entered)
			<-ctx.Done()
			aborted <- ctx.Err()
			return swapper.Report{}, ctx.Err()
		}
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("ctrl-c")
	go func() { <-entered; cancel(stop) }()
	_, err := newTestClient(t, s).Push(ctx, TheDatabase, strings.NewReader("x"), PushParams{})
	if !errors.Is(err, stop) || !errors.Is(err, swapper.ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
	if err := <-aborted; !errors.Is(err, context.Canceled) {
		t.Errorf("the swapper's context ended with %v", err)
	}
}

func TestAnswerOfAnotherServerIsQuoted(t *testing.T) {
	c := fakeServer(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "I am a teapot", http.StatusTeapot) })
	_, err := c.Databases(t.Context(), "")
	p := assertProblem(t, err, ProblemInternal)
	if !strings.Contains(p.Detail, "I am a teapot") {
		t.Errorf("got %q", p.Detail)
	}
}

func TestSnapshotWithoutItsDigestIsIncomplete(t *testing.T) {
	const body = "0123456789"
	for name, handler := range map[string]http.HandlerFunc{
		"cut": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", headerDigest)
			io.WriteString(w, body)
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"no trailer": func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) },
		"wrong trailer": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", headerDigest)
			io.WriteString(w, body)
			w.Header().Set(headerDigest, digestOf("other"))
		},
		"wrong size": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", headerDigest)
			w.Header().Set(headerSize, "11")
			io.WriteString(w, body)
			w.Header().Set(headerDigest, digestOf(body))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fakeServer(t, handler).Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{})
			if !errors.Is(err, ErrIncomplete) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestErrorOfTheDestinationEndsTheSnapshot(t *testing.T) {
	c := fakeServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, io.LimitReader(zeros{}, 64<<20))
	})
	full := errors.New("no space")
	_, err := c.Snapshot(t.Context(), TheDatabase, writerFunc(func(p []byte) (int, error) { return 0, full }), SnapshotParams{})
	if !errors.Is(err, full) || errors.Is(err, ErrIncomplete) {
		t.Errorf("got %v", err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestInterruptedPushDoesNotWaitForItsSource(t *testing.T) {
	s, seen := bodyServer(t, Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("ctrl-c")
	stuck, feed := io.Pipe()
	defer feed.Close()
	go func() {
		feed.Write(make([]byte, 2*transferBuffer)) // more than waits in buffers
		cancel(stop)
	}()
	_, err := newTestClient(t, s).Push(ctx, TheDatabase, stuck, PushParams{})
	if !errors.Is(err, stop) || errors.Is(err, swapper.ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
	if got := <-seen; !errors.Is(got.err, errBodyTruncated) {
		t.Errorf("the swapper's reader ended with %v", got.err)
	}
}

func TestLostConnectionIsNoticedWhileTheSourceIsStuck(t *testing.T) {
	c := fakeServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.ReadFull(r.Body, make([]byte, 10))
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	})
	stuck, feed := io.Pipe()
	defer feed.Close()
	go feed.Write(make([]byte, 10))
	_, err := c.Push(t.Context(), TheDatabase, stuck, PushParams{})
	if !errors.Is(err, ErrConnectionLost) || errors.Is(err, swapper.ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestVersionsThatDifferAreSaidInWords(t *testing.T) {
	for _, test := range []struct {
		theirs int
		words  string
	}{
		{protocol - 1, "is older than this one"},
		{protocol + 1, "is newer than this one"},
		{protocol, "the server's own hint"},
	} {
		c := fakeServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == versionPath {
				answerJSON(w, VersionInfo{Version: "v1.2.3", Protocol: test.theirs})
				return
			}
			p := badRequest(`unknown parameter "news"`)
			p.Hint = "the server's own hint"
			p.write(w)
		})
		_, listErr := c.Databases(t.Context(), "")
		_, pushErr := c.Push(t.Context(), TheDatabase, strings.NewReader("x"), PushParams{})
		_, pullErr := c.Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{})
		for _, err := range []error{listErr, pushErr, pullErr} {
			p := assertProblem(t, err, ProblemBadRequest)
			if !strings.Contains(p.Hint, test.words) {
				t.Errorf("protocol %d: got %q", test.theirs, p.Hint)
			}
		}
	}
}

func TestAnEndlessAnswerIsGivenUp(t *testing.T) {
	flood := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set(headerSize, "100")
		chunk := []byte(`"` + strings.Repeat("x", 1<<20))
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
			chunk[0] = 'x'
		}
	}
	c := fakeServer(t, flood)
	_, err := c.Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{})
	if !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "100 bytes were announced, and more came") {
		t.Errorf("snapshot: %v", err)
	}
	if _, err := c.Databases(t.Context(), ""); !errors.Is(err, ErrConnectionLost) {
		t.Errorf("list: %v", err)
	}
	sub, err := c.Subscribe(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if _, err := sub.Next(); err == nil || !strings.Contains(err.Error(), "no end") {
		t.Errorf("status lines: %v", err)
	}
}
