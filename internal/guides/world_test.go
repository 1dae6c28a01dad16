package guides

import (
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"hotswap/internal/testenv"

	_ "github.com/mattn/go-sqlite3"
)

// world is a directory with the machines of a guide in it, each a directory
// that the stand-ins take for a machine's root or home.
type world struct{ dir string }

// newWorld makes one. Its path is short: sockets are in it.
func newWorld(t *testing.T) world {
	t.Helper()
	for _, tool := range []string{"sqlite3", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, "the guides' commands need %v", err)
		}
	}
	dir, err := os.MkdirTemp("", "hs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return world{dir}
}

// machine makes a machine with directories in it.
func (w world) machine(t *testing.T, name string, dirs ...string) string {
	t.Helper()
	for _, dir := range append(dirs, "") {
		if err := os.MkdirAll(filepath.Join(w.dir, name, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(w.dir, name)
}

func (w world) env() []string {
	return []string{
		envWorld + "=" + w.dir,
		"PATH=" + hotswapDir + string(filepath.ListSeparator) + os.Getenv("PATH"),
		"HOTSWAP_SOCKET=", "HOTSWAP_STDERR_SOCKET=",
		"GORACE=atexit_sleep_ms=0", // else each of the stand-ins sleeps a second at its end
	}
}

// start starts a program in dir, whose log is in app.log there, and waits for
// its socket. It ends with the test.
func (w world) start(t *testing.T, dir, socket, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), w.env()...)
	log, err := os.OpenFile(filepath.Join(dir, "app.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(cmd) })
	waitFor(t, filepath.Join(dir, socket))
	return cmd
}

func stop(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}
}

// stopUnits has the units that the stand-in for systemctl has started end with the test.
func (w world) stopUnits(t *testing.T, dir string) {
	t.Cleanup(func() {
		names, _ := filepath.Glob(filepath.Join(dir, "*.pid"))
		for _, name := range names {
			if err := stopUnit(dir, strings.TrimSuffix(filepath.Base(name), ".pid")); err != nil {
				t.Error(err)
			}
		}
	})
}

// startContained starts the program in a container of a pod: in the pod's network, and
// with processes of its own if this user may have that.
func (w world) startContained(t *testing.T, name, volume string) {
	t.Helper()
	dir := w.machine(t, name, "run")
	if err := os.Symlink(filepath.Join(w.dir, volume), filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	words := []string{"HOTSWAP_SOCKET=" + filepath.Join(dir, "run/hotswap.sock")}
	if exec.Command("unshare", "--pid", "--fork", "--mount-proc", "true").Run() == nil {
		words = append(words, "unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
	}
	cmd := w.start(t, dir, "run/hotswap.sock", "env", append(words, "program", filepath.Join(dir, "data/production.sqlite3"))...)
	t.Cleanup(func() { cmd.Process.Kill() }) // unshare heeds no other signal
}

// read starts another process that says that it reads a database, and does so
// until the test ends.
func (w world) read(t *testing.T, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stderr = append(os.Environ(), w.env()...), os.Stderr
	testenv.Start(t, cmd).Line()
}

// waitFor waits until a file is there.
func waitFor(t *testing.T, path string) {
	t.Helper()
	testenv.Eventually(t, func() error {
		_, err := os.Stat(path)
		if err != nil {
			log, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "app.log"))
			err = fmt.Errorf("%w: %s", err, log)
		}
		return err
	})
}

// endContainers ends what the stand-in for docker has started.
func (w world) endContainers(t *testing.T) {
	t.Cleanup(func() {
		names, err := filepath.Glob(filepath.Join(w.dir, "*/pid"))
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Error(err)
				continue
			}
			if pid, err := strconv.Atoi(string(text)); err != nil {
				t.Error(err)
			} else if err := syscall.Kill(pid, syscall.SIGKILL); err != nil { // unshare heeds no other
				t.Error(err)
			}
		}
		for _, name := range names {
			waitForEnd(t, filepath.Join(filepath.Dir(name), "run/hotswap.sock"))
		}
	})
}

// waitForEnd waits until nobody serves a socket.
func waitForEnd(t *testing.T, socket string) {
	t.Helper()
	testenv.Eventually(t, func() error {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return nil
		}
		conn.Close()
		return fmt.Errorf("somebody still serves %s", socket)
	})
}

// schema is that of the program's database.
const schema = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL)"

// makeDatabase makes a database of the program's schema with one item.
func makeDatabase(t *testing.T, path, item string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := append([]string{schema, "INSERT INTO item VALUES (1, '" + item + "', 100)"}, statements...)
	if _, err := db.Exec(strings.Join(all, ";")); err != nil {
		t.Fatal(err)
	}
}

// repository is the module's root.
func repository(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return root
}
