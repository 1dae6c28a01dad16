package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/peers"
	"hotswap/internal/testenv"
	"hotswap/sockserver"
)

func TestACopyThatStandsStillSaysOnceWhatItWaitsFor(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	defer func(was time.Duration) { stillAfter = was }(stillAfter)
	stillAfter = 20 * time.Millisecond
	for _, test := range []struct {
		name, hook string
		args       []string
		stop       bool
		says       string // "": nothing
	}{
		{"stopped", "-stop-in-validate", []string{"new.db", "database"}, true, "hotswap: still waiting: process PID (server) is stopped; `kill -CONT PID` lets it go on\n"},
		{"stopped, report", "-stop-in-validate", []string{"--json", "new.db", "database"}, true, "hotswap: still waiting: process PID (server) is stopped; `kill -CONT PID` lets it go on\n"},
		{"stopped, quiet", "-stop-in-validate", []string{"-q", "new.db", "database"}, true, ""},
		{"OnSwap", "-stop-after-swap", []string{"new.db", "database"}, false, "hotswap: still waiting: for OnSwap callbacks of the program, which run after the swap\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, _ := program(t, test.hook)
			t.Chdir(dir)
			client := sockserver.NewClient(sockserver.ClientConfig{})
			defer client.Close()
			server, err := client.Version(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			says := strings.ReplaceAll(test.says, "PID", fmt.Sprint(server.PID))
			ended, stdout, stderr := runBeside(t, append([]string{"cp"}, test.args...)...)
			entered(t, dir)
			if test.stop {
				suspend(t, server.PID)
				defer syscall.Kill(server.PID, syscall.SIGCONT)
			}
			if says != "" {
				testenv.Until(t, "it says what it waits for", func() bool { return strings.Contains(stderr(), says) })
			}
			if test.stop {
				syscall.Kill(server.PID, syscall.SIGCONT)
			}
			leave(t, dir)
			if code := <-ended; code != exitOK {
				t.Errorf("exit %d: %s", code, stderr())
			}
			// On a busy machine it stands still elsewhere, too.
			if says == "" && strings.Contains(stderr(), "still waiting") || says != "" && strings.Count(stderr(), says) != 1 {
				t.Errorf("it says %s", stderr())
			}
			if report := strings.HasPrefix(stdout(), "{\n"); report != (test.args[0] == "--json") {
				t.Errorf("stdout has %s", stdout())
			}
		})
	}
}

// stoppedProgram starts a program, in the working directory, and stops it until the test
// ends. Commands say soon that it does not answer.
func stoppedProgram(t *testing.T) (pid int) {
	t.Helper()
	was := stillAfter
	stillAfter = 20 * time.Millisecond
	t.Cleanup(func() { stillAfter = was })
	dir, _ := program(t)
	t.Chdir(dir)
	client := sockserver.NewClient(sockserver.ClientConfig{})
	defer client.Close()
	server, err := client.Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	suspend(t, server.PID)
	t.Cleanup(func() { syscall.Kill(server.PID, syscall.SIGCONT) })
	return server.PID
}

func TestACommandSaysThatTheProgramDoesNotAnswer(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	pid := stoppedProgram(t)
	ended, _, stderr := runBeside(t, "status")
	says := fmt.Sprintf("process %d (server) is stopped", pid)
	testenv.Until(t, "it says what it waits for", func() bool { return strings.Contains(stderr(), says) })
	syscall.Kill(pid, syscall.SIGCONT)
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d: %s", code, stderr())
	}
}

// TestACopyThatIsGivenUpBeforeTheProgramAnswersSaysWhatIsLive: it asks
// first which databases there are.
func TestACopyThatIsGivenUpBeforeTheProgramAnswersSaysWhatIsLive(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	stoppedProgram(t)
	ctx, interrupt := context.WithCancelCause(t.Context())
	ended, _, stderr := runBesideIn(ctx, t, "cp", "new.db", "live.db")
	testenv.Until(t, "it waits", func() bool { return strings.Contains(stderr(), "still waiting") })
	interrupt(fmt.Errorf("%w by SIGINT", errInterrupted))
	if code := <-ended; code != exitFailed || !strings.HasSuffix(stderr(), "hotswap: interrupted by SIGINT\nhotswap: nothing was copied: live.db is unchanged\n") {
		t.Errorf("exit %d: %s", code, stderr())
	}
}

// suspend stops a process, and returns once it is: a signal takes its time.
func suspend(t *testing.T, pid int) {
	t.Helper()
	syscall.Kill(pid, syscall.SIGSTOP)
	testenv.Until(t, "the process has stopped", peers.Process{PID: pid}.Stopped)
}

// runBeside runs the command line; stdout and stderr are what it has written so far.
func runBeside(t *testing.T, args ...string) (ended <-chan int, stdout, stderr func() string) {
	t.Helper()
	return runBesideIn(t.Context(), t, args...)
}

func runBesideIn(ctx context.Context, t *testing.T, args ...string) (ended <-chan int, stdout, stderr func() string) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	errs, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan int, 1)
	go func() {
		defer out.Close()
		defer errs.Close()
		done <- run(ctx, args, &streams{in: os.Stdin, out: out, err: errs})
	}()
	read := func(name string) func() string {
		return func() string {
			content, _ := os.ReadFile(name)
			return string(content)
		}
	}
	return done, read(out.Name()), read(errs.Name())
}
