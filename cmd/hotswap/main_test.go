package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hotswap/internal/testenv"
)

// The commands of the scripts, each a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(ownProcesses{m}, map[string]func(){
		"hotswap":  func() { completeTimeout = time.Minute; main() },
		"server":   func() { exitOn(serverMain()) },
		"exiting":  exitingMain,
		"nobody":   nobodyMain,
		"leave":    func() { exitOn(leaveMain()) },
		"halfpush": func() { exitOn(halfPushMain()) },
		"onsocket": func() { exitOn(onSocketMain()) },
		"deadsock": func() { exitOn(deadSocketMain()) },
		"corrupt":  func() { exitOn(corruptMain()) },
	})
}

// ownProcesses are the tests, once their commands are there.
type ownProcesses struct{ *testing.M }

func (m ownProcesses) Run() int {
	if code, ran := testenv.OwnProcesses(); ran {
		return code
	}
	testenv.Parallel(6)
	return m.M.Run()
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	root, err := os.MkdirTemp("", "hs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil { // for another user
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		WorkdirRoot:         root,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":   serve,
			"halt":    halt,
			"exits":   exits,
			"engine":  startEngine,
			"node":    startNode,
			"endnode": endNode,
			"record":  printRecord,
			"readenv": readEnv,
			"sql":     onDatabase(runSQL),
			"digest":  onDatabase(printDigest),
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOTSWAP_SOCKET", "")
			env.Setenv("HOTSWAP_STDERR_SOCKET", "")
			env.Setenv("HOTSWAP_ENGINE", "")
			// With -race, each of some hundred processes would sleep a second at its end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Setenv("GOGC", "off") // no command lives long enough to fill the memory
			env.Values[serversKey{}] = map[string]*testServer{}
			env.Values[nodesKey{}] = map[string]func(){}
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
	})
}

type serversKey struct{}

// testServer is a `server` that a script runs.
type testServer struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// serve is "serve NAME [flags] DB...": it starts a server and returns once it
// is ready. "halt NAME" ends it; "halt -KILL NAME" does not let it end itself.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: serve NAME [flags] DB...")
	}
	path := ""
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if candidate := filepath.Join(dir, "server"); path == "" {
			if _, err := os.Stat(candidate); err == nil {
				path = candidate
			}
		}
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Stderr = os.Stderr
	for _, name := range []string{"HOTSWAP_SOCKET", "HOTSWAP_STDERR_SOCKET", "PATH", "TMPDIR", "GORACE"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		cmd.Wait()
		ts.Fatalf("the server is not ready: %q, %v", line, err)
	}
	server := &testServer{cmd, stdin}
	ts.Value(serversKey{}).(map[string]*testServer)[args[0]] = server
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			stdin.Close()
			cmd.Wait()
		}
	})
}

func halt(ts *testscript.TestScript, neg bool, args []string) {
	kill := len(args) == 2 && args[0] == "-KILL"
	if neg || len(args) != 1 && !kill {
		ts.Fatalf("usage: halt [-KILL] NAME")
	}
	server := ts.Value(serversKey{}).(map[string]*testServer)[args[len(args)-1]]
	if kill {
		ts.Check(server.cmd.Process.Kill())
		server.cmd.Wait()
		return
	}
	ts.Check(server.stdin.Close())
	ts.Check(server.cmd.Wait())
}
