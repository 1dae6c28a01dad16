package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/sockserver"
)

func TestLogOfOneCommandEndsWithIt(t *testing.T) {
	dir, _ := program(t)
	socket := filepath.Join(dir, "tmp/sockets/hotswap.sock")
	client := sockserver.NewClient(sockserver.ClientConfig{SocketPath: socket})
	defer client.Close()
	ended, left := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		// Until it has subscribed, its command has ended before it began.
		for {
			for _, id := range []string{"other", "wanted"} {
				if _, err := client.Snapshot(t.Context(), sockserver.TheDatabase, io.Discard, sockserver.SnapshotParams{ID: id}); err != nil {
					t.Error(err)
				}
			}
			select {
			case <-ended:
				return
			default:
			}
		}
	}()
	code, stdout, _ := runCaptured(t, t.Context(), "log", "--id=wanted", "--socket="+socket)
	close(ended)
	<-left
	if code != 0 || strings.Contains(stdout, " other ") || !strings.HasSuffix(stdout, " wanted OK\n") {
		t.Errorf("exit %d, and it says:\n%s", code, stdout)
	}
}

func TestLogOfACommandThatIsSilentWaitsForIt(t *testing.T) {
	t.Parallel()
	dir, _ := program(t, "-stop-in-validate")
	socket := filepath.Join(dir, "tmp/sockets/hotswap.sock")
	client := sockserver.NewClient(sockserver.ClientConfig{SocketPath: socket})
	defer client.Close()
	source, err := os.Open(filepath.Join(dir, "new.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	pushed := make(chan error, 1)
	go func() {
		_, err := client.Push(t.Context(), sockserver.TheDatabase, source, sockserver.PushParams{ID: "silent"})
		pushed <- err
	}()
	entered(t, dir)
	go func() {
		time.Sleep(idPatience + idPatience/4) // it is silent for longer than one that is not there may be
		leave(t, dir)
	}()
	code, stdout, stderr := runCaptured(t, t.Context(), "log", "--id=silent", "--socket="+socket)
	if err := <-pushed; err != nil {
		t.Error(err)
	}
	if code != 0 || !strings.HasSuffix(stdout, " silent OK\n") {
		t.Errorf("exit %d, and it says:\n%s%s", code, stdout, stderr)
	}
}

func TestLogInATerminalSaysThatItWaits(t *testing.T) {
	dir, _ := program(t)
	term := inTerminal(t, dir, nil, "log")
	term.waitFor(t, `(?m)^hotswap: waiting for events on .*hotswap\.stderr\.sock; Ctrl-C ends it$`)
	term.interrupt()
	if code, text := term.end(); code != 0 {
		t.Errorf("exit %d, and the screen is:\n%s", code, text)
	}
}
