package main

import (
	"bufio"
	"database/sql"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// screen is what a terminal shows of the few things that the command writes.
// It wraps nothing, and keeps the widest line that ever was on it.
type screen struct {
	mu      sync.Mutex // guards what follows
	changed chan struct{}
	lines   [][]rune
	row     int
	col     int
	escape  string // an escape sequence that has begun
	widest  int
	raw     strings.Builder
}

func newScreen() *screen { return &screen{changed: make(chan struct{}), lines: [][]rune{nil}} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(p)
	for _, r := range string(p) {
		s.put(r)
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return len(p), nil
}

var sequence = regexp.MustCompile(`^\x1b\[[0-9;?]*[A-Za-z]$`)

func (s *screen) put(r rune) {
	switch {
	case s.escape != "" || r == '\x1b':
		s.escape += string(r)
		if !sequence.MatchString(s.escape) {
			return
		}
		switch s.escape {
		case "\x1b[J":
			s.lines = s.lines[:s.row+1]
			s.lines[s.row] = s.lines[s.row][:min(s.col, len(s.lines[s.row]))]
		case "\x1b[H":
			s.row, s.col = 0, 0
		case "\x1b[K":
			s.lines[s.row] = s.lines[s.row][:min(s.col, len(s.lines[s.row]))]
		default:
			panic("an escape sequence that the test does not know: " + s.escape[1:])
		}
		s.escape = ""
	case r == '\r':
		s.col = 0
	case r == '\n':
		s.row++
		if s.row == len(s.lines) {
			s.lines = append(s.lines, nil)
		}
	default:
		line := s.lines[s.row]
		for len(line) <= s.col {
			line = append(line, ' ')
		}
		line[s.col] = r
		s.lines[s.row] = line
		s.col++
		s.widest = max(s.widest, len(line))
	}
}

func (s *screen) text() string {
	var b strings.Builder
	for _, line := range s.lines {
		b.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// waitFor waits until the screen shows what matches.
func (s *screen) waitFor(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		text, changed := s.text(), s.changed
		s.mu.Unlock()
		if re.MatchString(text) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("%q never appeared; the screen is:\n%s", pattern, text)
		}
	}
}

// resetWidest forgets how wide the lines were.
func (s *screen) resetWidest() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.widest = 0
}

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
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		stdin.Close()
		cmd.Wait() // also when it has ended
	}
	t.Cleanup(stop)
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("the server is not ready: %q, %v", line, err)
	}
	return dir, stop
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

// withoutFigures replaces what differs between two runs.
func withoutFigures(text, dir string) string {
	text = strings.ReplaceAll(text, dir, "DIR")
	return regexp.MustCompile(`[0-9.]+(µs|ms|s)\b`).ReplaceAllString(text, "TIME")
}

func TestProgressOfAPushIsShownAndLeavesTheScreenClean(t *testing.T) {
	dir, _ := program(t, "-stop-in-validate")
	content, err := os.ReadFile(filepath.Join(dir, "new.db"))
	if err != nil {
		t.Fatal(err)
	}
	stdin, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	term := inTerminal(t, dir, stdin, "cp", "-", "live.db")
	stdin.Close()
	if _, err := feed.Write(content[:200<<10]); err != nil {
		t.Fatal(err)
	}
	term.waitFor(t, `(?m)^sending 200\.00 KiB .*/s`)
	term.resize(30)
	term.resetWidest()
	term.waitFor(t, `(?m)^sending 200\.00 KiB .{0,10}$`)
	if term.widest > 29 {
		t.Errorf("a line has %d columns on a terminal of 30", term.widest)
	}
	term.resize(100)
	term.waitFor(t, `(?m)^sending 200\.00 KiB .*/s \S+`)
	if _, err := feed.Write(content[200<<10:]); err != nil {
		t.Fatal(err)
	}
	feed.Close()
	entered(t, dir)
	term.waitFor(t, `(?m)^running the program's validation$`)
	term.waitFor(t, `(?m)^running the program's validation 1s$`)
	leave(t, dir)
	code, text := term.end()
	want := `Swapping database...
push started: stdin to DIR/live.db
received 622592 bytes
integrity check passed
schema check passed
validation passed
closed 1 connection
renamed stage to target
gate open: calls resume (pause TIME)
reconnected 1 connection
push complete
OK
`
	if got := withoutFigures(text, dir); code != 0 || got != want {
		t.Errorf("exit %d, and the screen is:\n%s\nand not:\n%s", code, got, want)
	}
}

func TestProgressShowsWhatAPushWaitsFor(t *testing.T) {
	dir, _ := program(t, "-hold")
	term := inTerminal(t, dir, nil, "cp", "--timeout=20s", "new.db", "live.db")
	term.waitFor(t, `(?m)^waiting for an open transaction \(INSERT INTO t VALUES \(1000, 'held'\)\) 1s$`)
	term.interrupt()
	code, text := term.end()
	if code != exitFailed || strings.Contains(text, "waiting for") || !strings.Contains(text, "live.db is as it was") {
		t.Errorf("exit %d, and the screen is:\n%s", code, text)
	}
}

func TestProgressOfAPullIsShownAndLeavesTheScreenClean(t *testing.T) {
	dir, _ := program(t)
	fifo := filepath.Join(dir, "slow")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	term := inTerminal(t, dir, nil, "cp", "live.db", "slow")
	slow, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	term.waitFor(t, `(?m)^receiving .* / 608\.00 KiB \[.*\]`)
	if _, err := io.Copy(io.Discard, slow); err != nil {
		t.Fatal(err)
	}
	code, text := term.end()
	want := "pull started: DIR/live.db to slow\nsnapshot taken: 622592 bytes\npull complete: 622592 bytes\nOK\n"
	if got := withoutFigures(text, dir); code != 0 || got != want {
		t.Errorf("exit %d, and the screen is:\n%s", code, got)
	}
}

func TestCtrlCInATerminalSaysWhatBecameOfTheDatabase(t *testing.T) {
	t.Run("before the swap", func(t *testing.T) {
		dir, _ := program(t, "-stop-in-validate")
		term := inTerminal(t, dir, nil, "cp", "new.db", "live.db")
		entered(t, dir)
		term.waitFor(t, `validation`)
		term.interrupt()
		code, text := term.end()
		lines := strings.Split(strings.TrimSpace(withoutFigures(text, dir)), "\n")
		want := []string{"schema check passed", "hotswap: interrupted", "hotswap: DIR/live.db is as it was"}
		if got := lines[max(len(lines)-3, 0):]; code != exitFailed || !slices.Equal(got, want) {
			t.Errorf("exit %d, and the screen is:\n%s", code, text)
		}
	})
	t.Run("after it", func(t *testing.T) {
		dir, _ := program(t, "-stop-after-swap")
		term := inTerminal(t, dir, nil, "cp", "new.db", "live.db")
		entered(t, dir)
		term.interrupt()
		term.waitFor(t, `(?m)^interrupted: waiting to hear what came of it`)
		leave(t, dir)
		code, text := term.end()
		if code != 0 || !strings.HasSuffix(text, "\nhotswap: interrupted, too late: the swap was done\nOK\n") {
			t.Errorf("exit %d, and the screen is:\n%s", code, text)
		}
	})
}

func TestProgressIsDrawnOnlyWhereItIsWanted(t *testing.T) {
	for _, test := range []struct {
		flags, term string
		drawn       bool
	}{
		{"--progress=auto", "xterm", true},
		{"--progress=never", "xterm", false},
		{"--progress=auto", "dumb", false},
		{"--progress=always", "dumb", true},
		{"-q", "xterm", false},
	} {
		c := cpCmd{Progress: strings.TrimPrefix(test.flags, "--progress="), Quiet: test.flags == "-q"}
		t.Setenv("TERM", test.term)
		master, tty, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer master.Close()
		defer tty.Close()
		if c.Quiet {
			c.Progress = progressAlways
		}
		if got := c.wantsProgress(tty); got != test.drawn {
			t.Errorf("%s, TERM=%s: %t", test.flags, test.term, got)
		}
		file, err := os.Create(filepath.Join(t.TempDir(), "file"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if got := c.wantsProgress(file); got != (test.flags == "--progress=always") {
			t.Errorf("%s, to a file: %t", test.flags, got)
		}
	}
}

func TestAWatchedStatusIsRedrawnInPlace(t *testing.T) {
	dir, stop := program(t, "-hold")
	term := inTerminal(t, dir, nil, "status", "--watch=20ms")
	term.waitFor(t, `(?s)^hotswap status, every 20ms; Ctrl-C ends it\n\n/.*/live\.db\n.*held by +an open transaction for at least 1\.`)
	term.waitFor(t, `held by +an open transaction for at least 2\.`)
	term.resize(30)
	term.waitFor(t, `(?m)^  held by      an open transac$`)
	term.resetWidest()
	term.waitFor(t, `(?m)^  held by      an open transac$`)
	term.interrupt()
	code, text := term.end()
	if code != 0 || strings.Count(text, "live.db") != 1 || term.widest > 30 {
		t.Errorf("exit %d, a line of %d columns, and the screen is:\n%s", code, term.widest, text)
	}
	stop()
}
