package sockserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

func TestCloseAbortsACommandAndTellsItsClient(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	for name, wait := range map[string]func(context.Context, io.Reader) error{
		"that reads its body": func(_ context.Context, src io.Reader) error {
			_, err := io.Copy(io.Discard, src)
			return err
		},
		"that works": func(ctx context.Context, _ io.Reader) error {
			<-ctx.Done()
			return ctx.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			entered := make(chan struct{})
			s := startServer(t, dir, Config{}, func(a *api) {
				a.push = func(ctx context.Context, _ *driver.Database, src io.Reader, _ swapper.PushOptions) (swapper.Report, error) {
					close(entered)
					return swapper.Report{}, wait(ctx, src)
				}
			})
			c := newTestClient(t, s)
			sub, err := c.Subscribe(t.Context(), "one")
			if err != nil {
				t.Fatal(err)
			}
			defer sub.Close()
			stuck, feed := io.Pipe()
			defer feed.Close()
			pushed := make(chan error)
			go func() {
				_, err := c.Push(t.Context(), TheDatabase, stuck, PushParams{ID: "one"})
				pushed <- err
			}()
			<-entered
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			assertProblem(t, <-pushed, ProblemStopping)
			if line, err := sub.Next(); err != nil || line.Problem == nil || line.Problem.Type != ProblemStopping {
				t.Errorf("the last status line is %+v, %v", line, err)
			}
			if _, err := c.Version(t.Context()); !errors.Is(err, ErrNoServer) {
				t.Errorf("after Close: %v", err)
			}
			for _, path := range []string{s.SocketPath(), s.StderrSocketPath(), s.SocketPath() + ".lock"} {
				if _, err := os.Lstat(path); err == nil {
					t.Errorf("%s was left behind", path)
				}
			}
		})
	}
}

func TestShutdownWaitsForACommand(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	entered, leave := make(chan struct{}), make(chan struct{})
	s := startServer(t, dir, Config{}, pushing(func([]byte, error, swapper.PushOptions) (swapper.Report, error) {
		close(entered)
		<-leave
		return swapper.Report{Swapped: true}, nil
	}))
	c := newTestClient(t, s)
	pushed := make(chan error)
	go func() {
		_, err := c.Push(t.Context(), TheDatabase, strings.NewReader("x"), PushParams{})
		pushed <- err
	}()
	<-entered
	down := make(chan error)
	go func() { down <- s.Shutdown(t.Context()) }()
	// Wait until it does not listen any more, so that Shutdown is on its way.
	for {
		if _, err := os.Lstat(s.SocketPath()); err != nil {
			break
		}
	}
	select {
	case err := <-down:
		t.Fatalf("Shutdown did not wait: %v", err)
	default:
	}
	close(leave)
	if err := <-pushed; err != nil {
		t.Errorf("the command under way got %v", err)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

func TestCloseDoesNotWaitForASilentConnection(t *testing.T) {
	s := startServer(t, shortDir(t), Config{}, nil)
	dial(t, s.SocketPath())
	half := dial(t, s.SocketPath())
	fmt.Fprint(half, "GET /v1/ver")
	// Connections are accepted in their order, so those two have been after this.
	if _, err := newTestClient(t, s).Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > closeGrace/2 {
		t.Errorf("Close took %s", took)
	}
	if err := s.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
}

func TestSecondServerIsRefusedAndTheFirstServesOn(t *testing.T) {
	dir := shortDir(t)
	s := startServer(t, dir, Config{}, nil)
	for _, cfg := range []Config{
		{SocketPath: s.SocketPath(), StderrSocketPath: dir + "/other"},
		{SocketPath: dir + "/other", StderrSocketPath: s.StderrSocketPath()},
	} {
		if _, err := Start(cfg); !errors.Is(err, ErrInUse) {
			t.Errorf("got %v, want ErrInUse", err)
		}
		if _, err := os.Lstat(dir + "/other"); err == nil {
			t.Error("a server that did not start left a socket")
		}
	}
	if _, err := newTestClient(t, s).Version(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := Start(Config{SocketPath: dir + "/x", StderrSocketPath: dir + "/x"}); err == nil {
		t.Error("one path was taken for both sockets")
	}
}

func TestSocketPathsFollowEachOther(t *testing.T) {
	t.Setenv(EnvSocket, "")
	t.Setenv(EnvStderrSocket, "")
	check := func(socket, stderr, wantSocket, wantStderr string) {
		t.Helper()
		if a, b := SocketPaths(socket, stderr); a != wantSocket || b != wantStderr {
			t.Errorf("SocketPaths(%q, %q) = %q, %q", socket, stderr, a, b)
		}
	}
	check("", "", "tmp/sockets/hotswap.sock", "tmp/sockets/hotswap.stderr.sock")
	check("/run/app.sock", "", "/run/app.sock", "/run/app.stderr.sock")
	check("/run/app", "", "/run/app", "/run/app.stderr")
	check("", "/e", "tmp/sockets/hotswap.sock", "/e")
	t.Setenv(EnvSocket, "/env.sock")
	check("", "", "/env.sock", "/env.stderr.sock")
	check("/x.sock", "", "/x.sock", "/x.stderr.sock")
	t.Setenv(EnvStderrSocket, "/err.sock")
	check("", "", "/env.sock", "/err.sock")
	check("/x.sock", "/y", "/x.sock", "/y")
}

func TestZeroConfigListensOnTheDefaultSockets(t *testing.T) {
	t.Setenv(EnvSocket, "")
	t.Setenv(EnvStderrSocket, "")
	t.Chdir(shortDir(t))
	s, err := Start(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := NewClient(ClientConfig{})
	defer c.Close()
	if _, err := c.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
	assertMode(t, "tmp/sockets", 0o700)
	t.Chdir("/")
	if err := s.Close(); err != nil {
		t.Errorf("Close from another directory: %v", err)
	}
}
