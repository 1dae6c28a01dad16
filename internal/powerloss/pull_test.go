//go:build linux && amd64

package powerloss

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/dbpath"
	"hotswap/internal/testenv"
	"hotswap/sockserver"
)

// A pull into a file that exists: the command writes beside that, and renames. It is
// the command that is traced. The program whose database is pulled, in the same
// directory, is another process, which changes nothing there but the bytes of the copy,
// through the descriptor that the command has passed to it.

const (
	outName = "out.sqlite3"
	// servedDir and servedSocket are the role of that program.
	servedDir    = "HOTSWAP_TEST_POWERLOSS_SERVED"
	servedSocket = "HOTSWAP_TEST_POWERLOSS_SOCKET"
)

// serve is the program, until its stdin ends.
func serve(dir string) error {
	pool, err := sql.Open(driver.Name, dbpath.URI(filepath.Join(dir, liveName), "_txlock=immediate", "_journal=WAL", "_sync=FULL"))
	if err != nil {
		return err
	}
	defer pool.Close() // whose -shm goes with it
	var done int       // by an earlier one
	if err := pool.QueryRow("SELECT count(*) FROM writes").Scan(&done); err != nil {
		return err
	}
	for seq := done + 1; seq <= writesOld; seq++ {
		if err := write(pool, seq); err != nil {
			return err
		}
	}
	server, err := sockserver.Start(sockserver.Config{SocketPath: os.Getenv(servedSocket), StderrSocketPath: os.Getenv(servedSocket) + ".stderr"})
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return nil
}

// puller pulls with the command.
type puller struct {
	command string
	socket  string
	live    string // digest of the database with all writes
	older   string // and of what is in the file before
}

func newPuller(t *testing.T) *puller {
	t.Helper()
	p := &puller{command: filepath.Join(t.TempDir(), "hotswap"), live: expected(t).old[writesOld]}
	if out, err := exec.Command("go", "build", "-o", p.command, "hotswap/cmd/hotswap").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sockets, err := os.MkdirTemp("", "s") // its path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	p.socket = filepath.Join(sockets, "s.sock")
	dir := t.TempDir()
	if err := p.prepare(dir); err != nil {
		t.Fatal(err)
	}
	if p.older, err = digest(filepath.Join(dir, outName)); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *puller) prepare(dir string) error {
	return errors.Join(
		makeDatabase(filepath.Join(dir, liveName), "old", oldRows, "WAL"),
		makeDatabase(filepath.Join(dir, outName), "older", newRows, "DELETE"))
}

// start starts the program on what is in dir.
func (p *puller) start(t *testing.T, dir string) *testenv.Child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), servedDir+"="+dir, servedSocket+"="+p.socket)
	cmd.Stderr = os.Stderr
	c := testenv.Start(t, cmd)
	if got := c.Line(); got != "ready" {
		t.Fatal(got)
	}
	return c
}

// trace runs the command. It sees no write, for those are another process's: what the
// copy has when it is synced, was written before.
func (p *puller) trace(dir string, enter func(event) action, leave func(event)) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	t := tracer{dir: dir, leave: leave, enter: func(e event) action {
		if e.op == opMark { // what it prints
			return proceed
		}
		return enter(e)
	}}
	if leave != nil {
		t.leave = func(e event) {
			if e.op != opMark {
				leave(e)
			}
		}
	}
	return t.run(p.command, append(os.Environ(), "HOTSWAP_SOCKET="+p.socket, "HOTSWAP_STDERR_SOCKET="+p.socket+".stderr", "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1"),
		"cp", filepath.Join(dir, liveName), filepath.Join(dir, outName))
}

// judge looks at what a crash left in dir; done says that the command had ended.
func (p *puller) judge(dir string, done bool) *verdict {
	if got, err := digest(filepath.Join(dir, liveName)); err != nil || got != p.live {
		return bad("the live database is another: %v", err)
	}
	switch got, err := digest(filepath.Join(dir, outName)); {
	case err != nil:
		return bad("the file: %w", err)
	case got == p.live:
		return &verdict{outcome: leftNew}
	case got == p.older && !done:
		return &verdict{outcome: leftOld}
	case got == p.older:
		return bad("the command has succeeded, and the copy is not there")
	}
	return bad("the file is neither what it was nor the copy")
}

// record returns what the command does in dir, with what is there when it begins.
func (p *puller) record(t *testing.T) (before *disk, events []event) {
	t.Helper()
	// The program and the command are children of the same thread, as may happen anyhow:
	// the tracer tells them apart.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir := t.TempDir()
	if err := p.prepare(dir); err != nil {
		t.Fatal(err)
	}
	program := p.start(t, dir)
	before, err := newDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = p.trace(dir, func(e event) action {
		if e.op == opSync && e.name != "." {
			data, err := os.ReadFile(filepath.Join(dir, e.name))
			if err != nil {
				t.Error(err)
			}
			events = append(events, event{op: opWrite, name: e.name, inode: e.inode, data: data})
		}
		return proceed
	}, func(e event) { events = append(events, e) })
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		testenv.Skip(t, "no ptrace here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range before.entries {
		if now, err := os.ReadFile(filepath.Join(dir, name)); name != outName && !strings.HasSuffix(name, "-shm") && (err != nil || string(now) != string(f.data)) {
			t.Errorf("the pull has changed %s: %v", name, err)
		}
	}
	if err := program.End(); err != nil {
		t.Fatal(err)
	}
	return before, events
}

// replay judges the states that a power loss may leave behind each of the events.
func (p *puller) replay(t *testing.T, before *disk, events []event, o order) *tally {
	t.Helper()
	d, y, dir := before.clone(), newTally(), t.TempDir()
	random := rand.New(rand.NewPCG(1, 2))
	known := map[string]*verdict{}
	for i, e := range events {
		if err := d.apply(e); err != nil {
			t.Fatal(err)
		}
		y.calls++
		for f := range fates(d.pending, o, random) {
			left := d.crash(f)
			maps.DeleteFunc(left, func(name string, _ leftFile) bool {
				return strings.HasPrefix(name, ".") || strings.HasSuffix(name, "-shm")
			})
			done := i == len(events)-1
			var key strings.Builder
			key.WriteString(fmt.Sprint(done))
			for _, name := range slices.Sorted(maps.Keys(left)) {
				key.WriteString(fmt.Sprint(name, len(left[name].data), string(left[name].data)))
			}
			if known[key.String()] == nil {
				if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), layOut(dir, left)); err != nil {
					t.Fatal(err)
				}
				known[key.String()] = p.judge(dir, done)
			}
			y.add(known[key.String()], func() string { return fmt.Sprintf("behind call %d, %s, the changes %v", i, e, f) })
		}
	}
	t.Logf("a pull to a file, directory changes %s: behind %d calls %d states, %d of them different: %s", o, y.calls, y.states, len(y.seen), y)
	return y
}

// TestNoStateThatAPowerLossMayLeaveOfAPullIsAMixture: nor, with a sync left out, does
// it miss one that is.
func TestNoStateThatAPowerLossMayLeaveOfAPullIsAMixture(t *testing.T) {
	testenv.Long(t) // it builds the command
	p := newPuller(t)
	before, events := p.record(t)
	for _, o := range []order{inOrder, anyChoice} {
		y := p.replay(t, before, events, o)
		if len(y.bad) > 0 {
			t.Errorf("%d bad states, directory changes %s:\n%s", len(y.bad), o, y.firstBad())
		}
		if y.left[leftOld] == 0 || y.left[leftNew] == 0 {
			t.Errorf("never both the file of before and the copy: %s", y)
		}
		for name, omits := range map[string]func(event) bool{
			"of the copy":      func(e event) bool { return e.op == opSync && e.name != "." },
			"of the directory": func(e event) bool { return e.op == opSync && e.name == "." },
		} {
			without := slices.DeleteFunc(slices.Clone(events), omits)
			if y := p.replay(t, before, without, o); len(without) == len(events) || len(y.bad) == 0 {
				t.Errorf("without the sync %s nothing bad is found, directory changes %s: %s", name, o, y)
			}
		}
	}
}
