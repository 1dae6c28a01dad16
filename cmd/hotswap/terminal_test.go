package main

import (
	"database/sql"
	"hotswap/internal/testenv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is a command that runs in a terminal of its own.
type terminal struct {
	*screen
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	read   chan struct{} // closed once all output was read
}

// inTerminal starts hotswap with its stdout and stderr in a terminal, and its
// stdin too unless that is set.
func inTerminal(t *testing.T, dir string, stdin *os.File, args ...string) *terminal {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	term := &terminal{screen: newScreen(), t: t, master: master, read: make(chan struct{})}
	term.resize(100)
	term.cmd = exec.Command("hotswap", args...)
	term.cmd.Dir = dir
	term.cmd.Env = append(os.Environ(), "TERM=xterm")
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = tty, tty, tty
	if stdin != nil {
		term.cmd.Stdin = stdin
	}
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 1}
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(term.read)
		io.Copy(term.screen, master) // ends with EIO once the last process has left
	}()
	t.Cleanup(func() {
		term.cmd.Process.Kill()
		term.cmd.Wait()
		<-term.read
		master.Close()
	})
	return term
}

func (term *terminal) resize(columns int) {
	term.t.Helper()
	if err := pty.Setsize(term.master, &pty.Winsize{Rows: 24, Cols: uint16(columns)}); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) interrupt() {
	term.t.Helper()
	if _, err := term.master.WriteString("\x03"); err != nil {
		term.t.Fatal(err)
	}
}

// end waits for the command's end, and returns its exit code and what the
// screen shows then.
func (term *terminal) end() (int, string) {
	term.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		term.cmd.Wait()
		<-term.read
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		term.t.Fatalf("the command does not end; the screen is:\n%s", term.text())
	}
	return term.cmd.ProcessState.ExitCode(), term.text()
}

// program runs the scripts' server in a directory of its own, with live.db and
// beside it new.db, until stop or the test's end.
func program(t *testing.T, flags ...string) (dir string, stop func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, name := range []string{"live.db", "new.db"} {
		db, err := sql.Open("sqlite3", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{
			"CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)",
			"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300) INSERT INTO t SELECT i, hex(randomblob(1000)) FROM n",
		} {
			if _, err := db.Exec(statement); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"entered", "leave"} {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("server", append(flags, "live.db")...)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	server := testenv.Start(t, cmd)
	server.Line() // it is ready
	return dir, func() { server.End() }
}

// entered waits until the program is in the hook that waits for the test.
func entered(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.ReadFile(filepath.Join(dir, "entered")); err != nil {
		t.Fatal(err)
	}
}

func leave(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "leave"), nil, 0); err != nil {
		t.Fatal(err)
	}
}
