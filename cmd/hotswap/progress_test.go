package main

import (
	"database/sql"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
)

// withoutFigures replaces what differs between two runs.
func withoutFigures(text, dir string) string {
	text = strings.ReplaceAll(text, dir, "DIR")
	text = regexp.MustCompile(` \(id [A-Z2-7]{12}\)`).ReplaceAllString(text, " (id ID)")
	text = regexp.MustCompile(`tag is [0-9a-f]{32}`).ReplaceAllString(text, "tag is TAG")
	return regexp.MustCompile(`[0-9.]+(µs|ms|s)\b`).ReplaceAllString(text, "TIME")
}

func TestProgressOfAPushIsShownAndLeavesTheScreenClean(t *testing.T) {
	t.Parallel()
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
	term.waitFor(t, `(?m)^sending 200\.00 KiB .*s$`)
	term.resize(30)
	term.resetWidest()
	term.waitFor(t, `(?m)^sending 200\.00 KiB .{0,10}$`)
	if term.widest > 29 {
		t.Errorf("a line has %d columns on a terminal of 30", term.widest)
	}
	term.resize(100)
	term.waitFor(t, `(?m)^sending 200\.00 KiB .*s$`)
	if _, err := feed.Write(content[200<<10:]); err != nil {
		t.Fatal(err)
	}
	feed.Close()
	entered(t, dir)
	term.waitFor(t, `(?m)^running the program's validation( \d+s)?$`)
	term.waitFor(t, `(?m)^running the program's validation \d+s$`)
	leave(t, dir)
	code, text := term.end()
	want := `Swapping database...
push started: stdin to DIR/live.db (id ID)
received 622592 bytes
integrity check passed
schema check passed
validation passed
closed 1 connection
renamed stage to target
gate open: calls resume (pause TIME)
reconnected 1 idle connection
push complete
OK
`
	if got := withoutFigures(text, dir); code != 0 || got != want {
		t.Errorf("exit %d, and the screen is:\n%s\nand not:\n%s", code, got, want)
	}
}

func TestProgressShowsWhatAPushWaitsFor(t *testing.T) {
	t.Parallel()
	dir, _ := program(t, "-hold")
	term := inTerminal(t, dir, nil, "cp", "--timeout=20s", "new.db", "live.db")
	term.waitFor(t, `(?m)^waiting for an open transaction \(INSERT INTO t VALUES \(1000, 'held'\)\) \d+s$`)
	term.interrupt()
	code, text := term.end()
	if code != exitFailed || strings.Contains(text, "waiting for") || !strings.Contains(text, "live.db is unchanged") {
		t.Errorf("exit %d, and the screen is:\n%s", code, text)
	}
}

func TestATransferWithoutARateYetShowsNone(t *testing.T) {
	for total, want := range map[int64]string{300: `^sending 200 B / 300 B \[=+>? *\] 67%$`, 0: `^sending 200 B 0s$`} {
		counted := newTransfer(total)
		counted.bar.Set("label", "sending").SetCurrent(200)
		line := liveLine{transfer: counted.bar}
		if text := line.textLocked(60); !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("%q", text)
		}
	}
}

func TestProgressOfAPullIsShownAndLeavesTheScreenClean(t *testing.T) {
	t.Parallel()
	dir, _ := program(t)
	live, err := sql.Open("sqlite3", filepath.Join(dir, "live.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if _, err := live.Exec("CREATE TABLE large (v); INSERT INTO large VALUES (zeroblob(4000000))"); err != nil { // more than a pipe holds
		t.Fatal(err)
	}
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
	term.waitFor(t, `(?m)^receiving .* / 4\.41 MiB \[.*\]`)
	if _, err := io.Copy(io.Discard, slow); err != nil {
		t.Fatal(err)
	}
	code, text := term.end()
	want := "pull started: DIR/live.db to slow (id ID)\nsnapshot taken: 4628480 bytes\npull complete: 4628480 bytes\nThe copy's tag is TAG.\nOK\n"
	if got := withoutFigures(text, dir); code != 0 || got != want {
		t.Errorf("exit %d, and the screen is:\n%s", code, got)
	}
}

func TestCtrlCInATerminalSaysWhatBecameOfTheDatabase(t *testing.T) {
	t.Parallel()
	t.Run("before the swap", func(t *testing.T) {
		dir, _ := program(t, "-stop-in-validate")
		term := inTerminal(t, dir, nil, "cp", "new.db", "live.db")
		entered(t, dir)
		term.waitFor(t, `validation`)
		term.interrupt()
		code, text := term.end()
		lines := strings.Split(strings.TrimSpace(withoutFigures(text, dir)), "\n")
		want := []string{"schema check passed", "hotswap: interrupted", "hotswap: DIR/live.db is unchanged"}
		if got := lines[max(len(lines)-3, 0):]; code != exitFailed || !slices.Equal(got, want) {
			t.Errorf("exit %d, and the screen is:\n%s", code, text)
		}
	})
	t.Run("after it", func(t *testing.T) {
		dir, _ := program(t, "-stop-after-swap")
		term := inTerminal(t, dir, nil, "cp", "new.db", "live.db")
		entered(t, dir)
		term.interrupt()
		term.waitFor(t, `(?m)^interrupted: waiting for the result`)
		leave(t, dir)
		code, text := term.end()
		if code != 0 || !strings.HasSuffix(text, "\nhotswap: interrupted, but too late: the swap was done\nOK\n") {
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
	t.Parallel()
	dir, stop := program(t, "-hold")
	term := inTerminal(t, dir, nil, "status", "--watch=20ms")
	term.waitFor(t, `(?s)^hotswap status, every 20ms; Ctrl-C ends it\n\n/.*/live\.db\n.*held by +an open transaction for at least \d+\.`)
	term.waitFor(t, `held by +an open transaction for at least (\d\d|[2-9])`)
	term.resize(40)
	term.waitFor(t, `(?m)^  held by      an open transaction for a$`)
	term.resetWidest()
	term.waitFor(t, `(?m)^  held by      an open transaction for a$`)
	term.interrupt()
	code, text := term.end()
	if code != 0 || strings.Count(text, "live.db") != 1 || term.widest > 40 {
		t.Errorf("exit %d, a line of %d columns, and the screen is:\n%s", code, term.widest, text)
	}
	stop()
}
