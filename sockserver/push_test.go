package sockserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

func assertProblem(t *testing.T, err error, want ProblemType) *Problem {
	t.Helper()
	var p *Problem
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want a %s", err, want)
	}
	if p.Type != want {
		t.Fatalf("got %s (%s), want %s", p.Type, p.Detail, want)
	}
	return p
}

func TestStalledClientFreesItsStage(t *testing.T) {
	t.Parallel()
	s, seen := bodyServer(t, Config{StallTimeout: 20 * time.Millisecond})
	conn := rawPush(t, s, "Content-Length: 10\r\n", "01234")
	if got := <-seen; !errors.Is(got.err, errBodyStalled) {
		t.Fatalf("the swapper's reader ended with %v", got.err)
	}
	assertProblem(t, answerOf(t, conn), ProblemStalled)
}

func TestSlowClientIsNotAStalledOne(t *testing.T) {
	t.Parallel()
	s, seen := bodyServer(t, Config{StallTimeout: time.Second})
	conn := rawPush(t, s, "Transfer-Encoding: chunked\r\n", "")
	// Longer than the limit in all; and a busy machine may stand still for most of it.
	const bytes = 8
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for range bytes {
		<-tick.C
		fmt.Fprint(conn, chunk("x"))
	}
	fmt.Fprint(conn, "0\r\n\r\n")
	if got := <-seen; got.err != nil || len(got.body) != bytes {
		t.Fatalf("the swapper got %q, %v", got.body, got.err)
	}
	if err := answerOf(t, conn); err != nil {
		t.Fatal(err)
	}
}

// The read deadline of the body must not outlive it. (Both we and net/http see
// to that; it would take a deadline that fires for the client's leaving.)
func TestLongCheckAfterTheBodyIsNotAStall(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	const stall = 20 * time.Millisecond
	s := startServer(t, dir, Config{StallTimeout: stall}, func(a *api) {
		a.push = func(ctx context.Context, _ *driver.Database, src io.Reader, _ swapper.PushOptions) (swapper.Report, error) {
			if _, err := io.Copy(io.Discard, src); err != nil {
				return swapper.Report{}, err
			}
			select {
			case <-time.After(5 * stall):
				return swapper.Report{}, nil
			case <-ctx.Done():
				return swapper.Report{}, ctx.Err()
			}
		}
	})
	if _, err := newTestClient(t, s).Push(t.Context(), TheDatabase, strings.NewReader("x"), PushParams{}); err != nil {
		t.Fatal(err)
	}
}

func TestEarlyRefusalReachesAClientThatIsStillSending(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	s := startServer(t, dir, Config{}, func(a *api) {
		a.push = func(_ context.Context, _ *driver.Database, src io.Reader, _ swapper.PushOptions) (swapper.Report, error) {
			io.ReadFull(src, make([]byte, 1000))
			return swapper.Report{}, &swapper.Error{Op: "check", Path: "/db", Err: swapper.ErrBadDatabase}
		}
	})
	c := newTestClient(t, s)
	for range 10 {
		_, err := c.Push(t.Context(), TheDatabase, io.LimitReader(zeros{}, 64<<20), PushParams{})
		assertProblem(t, err, ProblemBad)
	}
}

func TestRefusedPushIsNotSentAtAll(t *testing.T) {
	s, _ := bodyServer(t, Config{})
	read := false
	src := readerFunc(func([]byte) (int, error) { read = true; return 0, io.EOF })
	_, err := newTestClient(t, s).Push(t.Context(), "/no/such", src, PushParams{})
	assertProblem(t, err, ProblemUnmanaged)
	if read {
		t.Error("the body was asked for")
	}
}

func TestIDCanBeUsedByOneCommandAtATime(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	entered, leave := make(chan struct{}), make(chan struct{})
	s := startServer(t, dir, Config{}, pushing(func([]byte, error, swapper.PushOptions) (swapper.Report, error) {
		entered <- struct{}{}
		<-leave
		return swapper.Report{}, nil
	}))
	c := newTestClient(t, s)
	first := make(chan error)
	go func() {
		_, err := c.Push(t.Context(), TheDatabase, strings.NewReader("x"), PushParams{ID: "one"})
		first <- err
	}()
	<-entered
	_, err := c.Push(t.Context(), TheDatabase, strings.NewReader("x"), PushParams{ID: "one"})
	assertProblem(t, err, ProblemIDInUse)
	close(leave)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
}

func TestFailureIsTheLastStatusLine(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	s := startServer(t, dir, Config{}, pushing(func(_ []byte, _ error, opts swapper.PushOptions) (swapper.Report, error) {
		opts.Notify(newEvent(swapper.StepReceived, "received"))
		opts.Notify(newEvent(swapper.StepPushFailed, "failed"))
		return swapper.Report{Bytes: 1}, swapper.ErrTarget
	}))
	c := newTestClient(t, s)
	sub, err := c.Subscribe(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	_, err = c.Push(t.Context(), TheDatabase, strings.NewReader("x"), PushParams{ID: "one"})
	p := assertProblem(t, err, ProblemTarget)
	if p.Report == nil || p.Report.Bytes != 1 || p.Command != "one" {
		t.Errorf("got %+v", p)
	}
	first, err := sub.Next()
	if err != nil || first.Step != swapper.StepReceived || first.Verb != verbPush || first.Path != dir+"/db" {
		t.Errorf("got %+v, %v", first, err)
	}
	last, err := sub.Next()
	if err != nil || !last.Last || last.Problem == nil || last.Problem.Type != ProblemTarget || last.Step != swapper.StepPushFailed {
		t.Errorf("got %+v, %v", last, err)
	}
	if _, err := sub.Next(); err != io.EOF {
		t.Errorf("got %v after the last line", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
