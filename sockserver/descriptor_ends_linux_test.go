package sockserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// To receive a descriptor means to close it, and that would drop every lock
// which this process has on the file, were it one of its own table.
func TestLocksOutliveADescriptorOfTheirFile(t *testing.T) {
	if _, err := exec.LookPath("sqlite3"); err != nil {
		testenv.Skip(t, "another process has to try the lock: %v", err)
	}
	dir := shortDir(t)
	makeDatabase(t, dir+"/other", 10)
	s, _ := bodyServer(t, Config{})
	other, err := reopen(t, dir+"/other").Conn(t.Context())
	must(t, err)
	defer other.Close()
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	must(t, err)
	locked := func() bool {
		out, err := exec.Command("sqlite3", dir+"/other", "BEGIN IMMEDIATE").CombinedOutput()
		return err != nil && strings.Contains(string(out), "locked")
	}
	if !locked() {
		t.Fatal("the lock is not there")
	}
	for _, request := range []string{announcedPush, announcedPull, "GET /v1/version HTTP/1.1\r\nHost: hotswap\r\n\r\n"} {
		conn := dial(t, s.SocketPath())
		fd, err := unix.Open(dir+"/other", unix.O_RDONLY, 0)
		must(t, err)
		closeLater(t, fd) // not before the lock's end: it is of this process, too
		sendWith(t, conn, request, fd)
		answerOf(t, conn)
		conn.Close()
		if !locked() {
			t.Fatalf("the lock is gone after %q", request)
		}
	}
}

func TestClientThatLeavesEndsThePushOfItsDescriptor(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 1)
	writeFile(t, dir+"/new", "x")
	entered, ended := make(chan struct{}), make(chan error, 1)
	s := startServer(t, dir, Config{}, func(a *api) {
		a.push = func(ctx context.Context, _ *driver.Database, _ io.Reader, _ swapper.PushOptions) (swapper.Report, error) {
			close(entered)
			<-ctx.Done()
			ended <- ctx.Err()
			return swapper.Report{}, ctx.Err()
		}
	})
	conn := dial(t, s.SocketPath())
	pass(t, conn, announcedPush, dir+"/new", os.O_RDONLY)
	<-entered
	conn.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	testenv.Until(t, "the descriptor is closed", func() bool { return !isOpen(t, dir+"/new") })
}

func TestPushByDescriptorThatBreaksOffHasAnUnknownOutcome(t *testing.T) {
	dir := shortDir(t)
	writeFile(t, dir+"/new", "x")
	c := fakeServer(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	})
	_, err := c.Push(t.Context(), TheDatabase, openFile(t, dir+"/new", os.O_RDONLY), PushParams{})
	if !errors.Is(err, swapper.ErrOutcomeUnknown) || !errors.Is(err, ErrConnectionLost) {
		t.Errorf("got %v", err)
	}
}
