package interop

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"hotswap/internal/testenv"
	"hotswap/sockserver"
)

// served is a program's database, and the socket where the command looks for it.
func served(t *testing.T) (path, socket string, pool *sql.DB) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hs") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path, socket = filepath.Join(dir, "app", "live db.sqlite3"), filepath.Join(dir, "app", sockserver.DefaultSocketPath)
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	pool, _ = open(t, path)
	server, err := sockserver.Start(sockserver.Config{SocketPath: socket, DatabasePaths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return path, socket, pool
}

func stamp(t *testing.T, pool *sql.DB) (stamp string) {
	t.Helper()
	if err := pool.QueryRow("SELECT group_concat(DISTINCT stamp) FROM items").Scan(&stamp); err != nil {
		t.Fatal(err)
	}
	return stamp
}

// TestDatabasesGoThroughOpenSSH has one server for all of it: it takes a while to be
// started, with its keys.
func TestDatabasesGoThroughOpenSSH(t *testing.T) {
	path, socket, pool := served(t)
	s := startSSHD(t, socket)
	t.Run("cut off", func(t *testing.T) { cutOff(t, s, path, pool) })
	t.Run("refused", func(t *testing.T) { refused(t, s, path) })
	t.Run("done", func(t *testing.T) { done(t, s, path, pool) })
}

// done is a push, a pull, and looking on.
func done(t *testing.T, s *sshd, path string, pool *sql.DB) {
	if err := os.WriteFile(s.at("new.sqlite3"), source(t, "new", 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	must := func(code int, stdout, stderr string) string {
		t.Helper()
		if code != 0 {
			t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
		}
		if !strings.Contains(stderr, "Authorized use only.") {
			t.Errorf("the banner is not shown:\n%s", stderr)
		}
		return stdout + stderr
	}
	log := s.hotswap("log", "prod:"+path)
	lines, err := log.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Start(); err != nil {
		t.Fatal(err)
	}
	said := must(s.run("cp", "new.sqlite3", "prod:"+path))
	for _, line := range []string{"push started: new.sqlite3 to " + path, "gate open: calls resume", "\nOK", "integrity check passed"} {
		if !strings.Contains("\n"+said, line) {
			t.Errorf("no %q in\n%s", line, said)
		}
	}
	if got := stamp(t, pool); got != "new" {
		t.Errorf("live is %q", got)
	}
	must(s.run("cp", "prod:"+path, "."))
	if info, err := os.Stat(s.at("live db.sqlite3")); err != nil || info.Size() < 4<<20 {
		t.Errorf("the copy: %v, %v", info, err)
	}
	// Most of it is there already, and here.
	if said := must(s.run("cp", "new.sqlite3", "prod:"+path)); !strings.Contains(said, " differ from the live database and were sent\n") {
		t.Errorf("a second push:\n%s", said)
	}
	if said := must(s.run("cp", "prod:"+path, ".")); !strings.Contains(said, " differ and are sent\n") {
		t.Errorf("a second pull:\n%s", said)
	}
	if said := must(s.run("status", "prod:"+filepath.Dir(path))); !strings.Contains(said, path+"\n") {
		t.Errorf("status:\n%s", said)
	}
	if said := must(s.run("version", "ssh://prod"+filepath.Dir(path))); !strings.Contains(said, fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("version:\n%s", said)
	}
	// The log may have begun after the push, but before a later pull.
	seen := make(chan string, 1)
	go func() {
		buffer := make([]byte, 1<<10)
		n, _ := lines.Read(buffer)
		seen <- string(buffer[:n])
		io.Copy(io.Discard, lines)
	}()
	testenv.Eventually(t, func() error {
		select {
		case line := <-seen:
			if !strings.Contains(line, "started") {
				t.Errorf("log: %q", line)
			}
			return nil
		default:
			must(s.run("cp", "-q", "prod:"+path, "copy.sqlite3"))
			return fmt.Errorf("no line of the log yet")
		}
	})
	log.Process.Signal(os.Interrupt)
	if err := log.Wait(); err != nil {
		t.Errorf("log: %v", err)
	}
}

// refused is what does not get through.
func refused(t *testing.T, s *sshd, path string) {
	for _, test := range []struct {
		args []string
		code int
		says []string
	}{
		{[]string{"status", "down:" + path}, 69, []string{"Connection refused", "down: not reached: ssh failed, and says why above"}},
		{[]string{"status", "stranger:" + path}, 69, []string{"Permission denied (publickey)", "stranger: not reached"}},
		{[]string{"status", "noisy:" + path}, 69, []string{`noisy: "Welcome" was printed there before hotswap began`}},
		{[]string{"status", "prod:/nowhere"}, 69, []string{"on prod: connect to tmp/sockets/hotswap.sock: there is no such socket"}},
		{[]string{"status", "--socket=/other.sock", "bound:" + path}, 77, []string{"on bound: --socket can't be chosen"}},
		// Whatever it is asked for, this key gets its own program.
		{[]string{"status", "bound:" + path}, 0, []string{path}},
		{[]string{"cp", "bound:" + path, "copy.sqlite3"}, 0, []string{"OK"}},
		{[]string{"status", "bound:/etc"}, 0, []string{path}},
	} {
		code, stdout, stderr := s.run(test.args...)
		for _, words := range test.says {
			if code != test.code || !strings.Contains(stdout+stderr, words) {
				t.Errorf("%q: exit %d, no %q in\n%s%s", test.args, code, words, stdout, stderr)
			}
		}
	}
	t.Setenv("HOTSWAP_REMOTE_COMMAND", "/nowhere/hotswap")
	if code, _, stderr := s.run("status", "prod:"+path); code != 69 || !strings.Contains(stderr, "prod: hotswap is not installed there") {
		t.Errorf("exit %d\n%s", code, stderr)
	}
}

// cutOff ends a push in the midst of the upload, in two ways.
func cutOff(t *testing.T, s *sshd, path string, pool *sql.DB) {
	half := source(t, "new", 4<<20)[:2<<20]
	for name, test := range map[string]struct {
		end  func(pid int) error
		code int
		says string
	}{
		"Ctrl-C":     {func(pid int) error { return syscall.Kill(pid, syscall.SIGINT) }, 1, "hotswap: interrupted\n"},
		"ssh killed": {killSSH, 69, "hotswap: the connection to prod ended (signal: killed)\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			cmd := s.hotswap("cp", "-", "prod:"+path)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := stdin.Write(half); err != nil {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			testenv.Eventually(t, func() error {
				left, err := filepath.Glob(filepath.Dir(path) + "/*hotswap-*")
				if err == nil && len(left) == 0 {
					err = fmt.Errorf("no stage yet")
				}
				return err
			})
			if err := test.end(cmd.Process.Pid); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(stderr.String(), test.says) ||
				!strings.Contains(stderr.String(), "hotswap: prod:"+path+" is unchanged\n") {
				t.Errorf("exit %d:\n%s", code, stderr.String())
			}
			testenv.Eventually(t, func() error {
				left, err := filepath.Glob(filepath.Dir(path) + "/*hotswap-*")
				if err == nil && len(left) > 0 {
					err = fmt.Errorf("left behind: %q", left)
				}
				return err
			})
			if got := stamp(t, pool); got != "live" {
				t.Errorf("live is %q", got)
			}
		})
	}
}

// killSSH kills the only child of a process.
func killSSH(pid int) error {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return err
	}
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks { // whichever thread has started it
		if len(bytes.TrimSpace(children)) == 0 {
			children, err = os.ReadFile(task)
		}
	}
	if err != nil {
		return err
	}
	child, err := strconv.Atoi(string(bytes.TrimSpace(children)))
	if err != nil {
		return err
	}
	return syscall.Kill(child, syscall.SIGKILL)
}
