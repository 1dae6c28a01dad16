package sockserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

func TestPushThatTheDiskCantTakeIsRefusedBeforeItsBody(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 1)
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	read := false
	src := readerFunc(func([]byte) (int, error) { read = true; return 0, io.EOF })
	for _, size := range []int64{1 << 50, 1<<63 - 1} {
		_, err := newTestClient(t, s).Push(t.Context(), TheDatabase, src, PushParams{Size: size})
		assertProblem(t, err, ProblemNoSpace)
	}
	if read {
		t.Error("the body was asked for")
	}
	// Without Expect, as a simple client sends it.
	conn := rawPush(t, s, fmt.Sprintf("Content-Length: %d\r\n", int64(1)<<50), "SQLite")
	assertProblem(t, answerOf(t, conn), ProblemNoSpace)
}

func TestPullsAreBounded(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	entered, leave := make(chan struct{}), make(chan struct{})
	s := startServer(t, dir, Config{MaxPulls: 2}, func(a *api) {
		a.pull = func(context.Context, *driver.Database, io.Writer, swapper.PullOptions) (swapper.Report, error) {
			entered <- struct{}{}
			<-leave
			return swapper.Report{}, errors.New("done")
		}
	})
	c := newTestClient(t, s)
	ended := make(chan error)
	pull := func() {
		_, err := c.Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{})
		ended <- err
	}
	for range 2 {
		go pull()
		<-entered
	}
	_, err := c.Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{})
	p := assertProblem(t, err, ProblemBusy)
	if !strings.Contains(p.Detail, "2 pulls") {
		t.Errorf("got %q", p.Detail)
	}
	close(leave)
	for range 2 {
		<-ended
	}
	go pull()
	<-entered // there is room again
	<-ended
}

// stages lists what pushes and pulls have beside a database.
func stages(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(dir + "/.*.hotswap-*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestClientThatVanishesFreesItsStage(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 100)
	content, err := os.ReadFile(dir + "/db")
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	conn := rawPush(t, s, "Content-Length: 1000000\r\n", string(content[:100]))
	testenv.Until(t, "there is a stage", func() bool { return len(stages(t, dir)) == 1 })
	conn.Close()
	testenv.Until(t, "the stage is gone", func() bool { return len(stages(t, dir)) == 0 })
}

// A reader of a snapshot that stops keeps its own stage, and nothing else.
func TestStoppedReadersHoldUpNobody(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	live := openDatabase(t, dir+"/db", 1)
	if _, err := live.Exec("INSERT INTO t (v) SELECT zeroblob(4000000)"); err != nil {
		t.Fatal(err)
	}
	makeDatabase(t, dir+"/new", 10)
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	pull := dial(t, s.SocketPath())
	fmt.Fprint(pull, "GET /v1/snapshot?path=database HTTP/1.1\r\nHost: hotswap\r\n\r\n")
	if _, err := pull.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		events := dial(t, s.StderrSocketPath())
		fmt.Fprint(events, "GET / HTTP/1.1\r\nHost: hotswap\r\n\r\n")
		if _, err := events.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, s)
	for range 20 {
		if _, err := c.Push(t.Context(), TheDatabase, bytes.NewReader(content), PushParams{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := rowsIn(t, live); n != 10 {
		t.Errorf("%d rows are live", n)
	}
	if n := len(stages(t, dir)); n != 1 {
		t.Errorf("%d stages: the snapshot's reader is not stopped", n)
	}
}

func TestShutdownLetsACommittedSwapFinish(t *testing.T) {
	dir := shortDir(t)
	live := openDatabase(t, dir+"/db", 1)
	makeDatabase(t, dir+"/new", 10)
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	db, ok := driver.Lookup(dir + "/db")
	if !ok {
		t.Fatal("not managed")
	}
	closed := make(chan error, 1)
	defer db.OnSwap(func(driver.Swap) {
		// The rename is done, and Push has not returned.
		go func() { closed <- s.Close() }()
		<-s.socket.served // Close has begun
	})()
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	report, err := newTestClient(t, s).Push(t.Context(), TheDatabase, bytes.NewReader(content), PushParams{})
	if err != nil || !report.Swapped {
		t.Errorf("got %+v, %v", report, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if n := rowsIn(t, live); n != 10 {
		t.Errorf("%d rows are live", n)
	}
}

func TestShutdownAbortsASwapThatIsNotCommitted(t *testing.T) {
	dir := shortDir(t)
	live := openDatabase(t, dir+"/db", 1)
	makeDatabase(t, dir+"/new", 10)
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	held, err := live.Query("SELECT * FROM t") // what the swap waits for
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, s)
	sub, err := c.Subscribe(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := c.Push(t.Context(), TheDatabase, bytes.NewReader(content), PushParams{ID: "one"})
		ended <- err
	}()
	for step := swapper.Step(""); step != swapper.StepGateClosed; {
		line, err := sub.Next()
		if err != nil {
			t.Fatal(err)
		}
		step = line.Step
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	assertProblem(t, <-ended, ProblemStopping)
	if left := stages(t, dir); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	held.Close()
	if n := rowsIn(t, live); n != 1 {
		t.Errorf("%d rows are live", n)
	}
}

func TestLogSaysWhoseCommandItIs(t *testing.T) {
	if !peerKnown {
		testenv.Skip(t, "this system does not tell who a client is")
	}
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	var log bytes.Buffer
	s := startServer(t, dir, Config{}, func(a *api) { a.cfg.Logger = zerolog.New(zerolog.SyncWriter(&log)) })
	newTestClient(t, s).Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{})
	s.Close()
	for _, words := range []string{
		fmt.Sprintf(`"uid":%d`, os.Getuid()), fmt.Sprintf(`"gid":%d`, os.Getgid()), fmt.Sprintf(`"pid":%d`, os.Getpid()), `"command":"sockserver`,
	} {
		if !strings.Contains(log.String(), words) {
			t.Errorf("no %s in %s", words, log.String())
		}
	}
}
