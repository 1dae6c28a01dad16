package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hotswap/internal/testenv"
)

// sshThat installs a stand-in for ssh, which relays to a command in dir in a session of
// its own, as one on another machine has; first is what it does before.
func sshThat(t *testing.T, dir, first string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssh")
	script := "#!/bin/sh\n" + first + "\nshift\ncd " + dir + "\ncat 2>/dev/null | setsid -w sh -c \"$*\" | cat\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(envSSH, path)
}

// TestCtrlCInATerminalDoesNotEndTheSSHBeforeTheResultIsKnown: the terminal sends the
// signal to both.
func TestCtrlCInATerminalDoesNotEndTheSSHBeforeTheResultIsKnown(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	dir, _ := program(t, "-stop-after-swap")
	sshThat(t, dir, "")
	term := inTerminal(t, dir, nil, "cp", "new.db", "prod:live.db")
	entered(t, dir)
	term.interrupt()
	term.waitFor(t, `(?m)^interrupted: waiting for the result`)
	leave(t, dir)
	code, text := term.end()
	if code != 0 || !strings.HasSuffix(text, "\nhotswap: interrupted, but too late: the swap was done\nOK\n") {
		t.Errorf("exit %d, and the screen is:\n%s", code, text)
	}
}

// TestASecondCtrlCSaysOnWhichMachineTheResultIsShown: the first one waits for it.
func TestASecondCtrlCSaysOnWhichMachineTheResultIsShown(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	dir, _ := program(t, "-stop-after-swap")
	sshThat(t, dir, "")
	term := inTerminal(t, dir, nil, "cp", "new.db", "prod:live.db")
	entered(t, dir)
	late := time.After(time.Minute)
	for again := time.After(0); ; {
		text, changed := term.now()
		if strings.Contains(text, "interrupted twice") {
			break
		}
		select {
		case <-changed:
		case <-again:
			term.interrupt()
			again = time.After(2 * echo) // what comes sooner counts as the same
		case <-late:
			t.Fatalf("the screen is:\n%s", text)
		}
	}
	leave(t, dir)
	code, text := term.end()
	if code != exitFailed || !regexp.MustCompile("(?m)^hotswap: interrupted twice: the outcome is unknown; `hotswap status prod:.*live.db` shows it$").MatchString(text) {
		t.Errorf("exit %d, and the screen is:\n%s", code, text)
	}
}

// TestAKilledCommandLeavesNoSnapshot: its ssh ends with it, and the program learns of that.
func TestAKilledCommandLeavesNoSnapshot(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	dir, _ := program(t)
	sshThat(t, dir, "")
	stages := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, ".live.db.hotswap-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for range testenv.Sample(8, 20) {
		cmd := exec.Command("hotswap", "cp", "-q", "new.db", "prod:live.db")
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			cmd.Wait()
		}()
		testenv.Until(t, "a snapshot, or the end of the command", func() bool {
			select {
			case <-ended:
				return true
			default:
				return len(stages()) > 0
			}
		})
		cmd.Process.Kill()
		<-ended
		killed := time.Now()
		testenv.Eventually(t, func() error {
			if left := stages(); len(left) > 0 {
				return fmt.Errorf("left: %q", left)
			}
			return nil
		})
		if took := time.Since(killed); took > 30*time.Second { // in a minute nobody would have asked for it
			t.Fatalf("it stayed for %v", took)
		}
	}
}

func TestSSHMayAskForAPassword(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	const ask = `printf 'Password: ' >/dev/tty
read -r password </dev/tty
[ "$password" = secret ] || exit 255`
	dir, _ := program(t)
	sshThat(t, dir, ask)
	for word, want := range map[string]int{"secret\n": exitOK, "wrong\n": exitNoServer, "\x03": exitFailed} {
		term := inTerminal(t, dir, nil, "cp", "new.db", "prod:live.db")
		term.waitFor(t, `Password:`)
		if _, err := term.master.WriteString(word); err != nil {
			t.Fatal(err)
		}
		if code, text := term.end(); code != want {
			t.Errorf("%q: exit %d, and the screen is:\n%s", word, code, text)
		}
	}
}
