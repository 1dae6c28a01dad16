//go:build linux && amd64

package powerloss

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/dbpath"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

var every = flag.Bool("every", false, "look at every state that a power loss may leave, and lose the power before every system call, not only some")

// again runs the test of the same name in a process of its own, in namespaces:
// of mounts, so that its own end with it, and of processes, so that a push finds
// few to look through. It reports whether this is that process.
func again(t *testing.T) bool {
	t.Helper()
	if os.Getenv("HOTSWAP_TEST_AGAIN") == t.Name() {
		// The tracer needs a /proc that knows its processes by their numbers here.
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	if os.Getuid() != 0 {
		testenv.Skip(t, "must be root to mount a file system")
	}
	timeout := time.Duration(0) // none
	if end, ok := t.Deadline(); ok {
		timeout = time.Until(end) - time.Second
	}
	pattern := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.Command(os.Args[0], "-test.run="+pattern, "-test.v", fmt.Sprintf("-test.timeout=%s", timeout), fmt.Sprintf("-every=%t", *every), fmt.Sprintf("-all=%t", *all))
	cmd.Env = append(os.Environ(), "HOTSWAP_TEST_AGAIN="+t.Name(), "TMPDIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if errors.Is(err, syscall.EPERM) {
		testenv.Skip(t, "no namespaces to be had: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// sweeper loses the power during a scenario's push, on a fresh file system each
// time.
type sweeper struct {
	scenario scenario
	image    *image
	source   string // path of the database that is pushed
	contents contents
	dir      string // to mount on
	omits    func(e event, at place) bool
}

func newSweeper(t *testing.T, fs fileSystem, s scenario) *sweeper {
	t.Helper()
	return &sweeper{
		scenario: s, source: source(t), contents: expected(t), dir: t.TempDir(),
		image: makeImage(t, fs, s.prepare),
	}
}

// crash loses the power before the n-th call of the push, counted from 0, and
// returns what the call was, and what is to be seen when the disk is mounted
// again. ended says that the victim made no such call: the power is lost behind
// its end then.
func (w *sweeper) crash(t *testing.T, n int, log logFate) (at event, ended bool, v *verdict) {
	t.Helper()
	vol := attach(t, w.image)
	defer vol.close()
	if err := vol.mount(w.dir); err != nil {
		t.Fatal(err)
	}
	var p progress
	var diskErr error
	calls, where := -1, place{}
	early := rand.N(n + 1)
	err := w.scenario.trace(w.dir, w.source, func(e event) action {
		if where.pushing {
			calls++
		}
		if calls == early && log == logEarlier {
			early = -1 // once
			diskErr = writeAll(w.dir)
		}
		if calls == n {
			at, diskErr = e, errors.Join(diskErr, shutDown(w.dir, log))
			return kill
		}
		if e.op == opMark {
			p.mark(e.name)
		}
		where.pass(e)
		if where.pushing && w.omits != nil && w.omits(e, where) {
			return omit
		}
		return proceed
	}, nil)
	if ended = err == nil; ended {
		diskErr = errors.Join(diskErr, shutDown(w.dir, log))
	} else if !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	if err := errors.Join(diskErr, vol.unmount(w.dir), vol.mount(w.dir)); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := vol.unmount(w.dir); err != nil {
			t.Fatal(err)
		}
	}()
	if v = w.contents.judge(w.dir, w.scenario, p); v.err == nil {
		if err := w.pushAgain(); err != nil {
			v = bad("the next push: %w", err)
		}
	}
	return at, ended, v
}

// pushAgain demands that a push succeeds and leaves the directory clean.
func (w *sweeper) pushAgain() error {
	path := filepath.Join(w.dir, liveName)
	data, err := os.ReadFile(w.source)
	if err != nil {
		return err
	}
	pool, err := sql.Open(driver.Name, dbpath.URI(path, "_journal="+w.scenario.journal))
	if err != nil {
		return err
	}
	defer pool.Close()
	db, ok := driver.Lookup(path)
	if !ok {
		return errors.New("the database is not managed")
	}
	opts := w.scenario.options
	opts.Backup = false
	if _, err := swapper.Push(context.Background(), db, bytes.NewReader(data), opts); err != nil {
		return err
	}
	if err := pool.Close(); err != nil {
		return err
	}
	got, err := digest(path)
	if err != nil {
		return err
	}
	if got != w.contents.new[0] {
		return fmt.Errorf("it left %s", w.contents.name(got))
	}
	there, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	for _, e := range there {
		switch name := e.Name(); {
		case name == liveName, strings.HasPrefix(name, backupName), name == "lost+found":
		case w.scenario.options.Backup && strings.HasPrefix(name, liveName+".set-aside-"):
			if err := isOlder(filepath.Join(w.dir, name)); err != nil {
				return fmt.Errorf("it left %s: %w", name, err)
			}
		default:
			return fmt.Errorf("it left %s", name)
		}
	}
	return nil
}

// isOlder demands that a file is the backup that was there before. In place, whether the
// push had committed can't be told for certain afterwards, and no backup is given up for
// one of a push that may not have been made.
func isOlder(path string) error {
	if strings.HasSuffix(path, "-wal") || strings.HasSuffix(path, "-shm") {
		return nil
	}
	if _, err := digest(path); err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", dbpath.URI(path, "mode=ro"))
	if err != nil {
		return err
	}
	defer db.Close()
	var others int
	if err := db.QueryRow("SELECT count(*) FROM items WHERE stamp NOT LIKE 'older%'").Scan(&others); err != nil || others > 0 {
		return fmt.Errorf("%d rows are not of the older backup: %w", others, err)
	}
	return nil
}

// sample is of how many calls a run without -every tries one, beginning with any.
var sample = testenv.Sample(320, 80)

// sweep loses the power before one call after the other, and behind the last.
func (w *sweeper) sweep(t *testing.T, log logFate) *tally {
	t.Helper()
	y := newTally()
	start := time.Now()
	step := sample
	if *every {
		step = 1
	}
	for n, ended := rand.N(step), false; !ended; n += step {
		var at event
		var v *verdict
		at, ended, v = w.crash(t, n, log)
		y.calls++
		where := fmt.Sprintf("before call %d of the push, %s", n, at)
		if ended {
			where = "behind the last call"
		}
		y.add(v, func() string { return where })
	}
	t.Logf("%s, %s, %s: before or behind %d calls: %s (%.1f s)", w.image.fs.name, w.scenario.name, log, y.calls, y, time.Since(start).Seconds())
	return y
}

func TestAPowerLossOnARealFileSystemLeavesTheOldOrTheNewDatabase(t *testing.T) {
	t.Parallel()
	for _, fs := range fileSystems {
		t.Run(fs.name, func(t *testing.T) {
			t.Parallel()
			if !again(t) {
				return
			}
			for _, s := range theirTurn() {
				if !*all && s.name == "DELETE,backup" {
					continue // the model has it; here each takes minutes
				}
				w := newSweeper(t, fs, s)
				fates := logFates
				if !*every {
					fates = fates[rand.N(len(fates)):][:1]
				}
				for _, log := range fates {
					y := w.sweep(t, log)
					if len(y.bad) > 0 {
						t.Errorf("%s, %s: %d bad states:\n%s", s.name, log, len(y.bad), y.firstBad())
					}
					if *every && (y.left[leftOld] == 0 || y.left[leftNew] == 0) {
						t.Errorf("%s, %s: never both the old and the new one: %s", s.name, log, y)
					}
				}
			}
		})
	}
}
