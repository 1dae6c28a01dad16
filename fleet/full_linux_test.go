package fleet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/rollout"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// smallDisk mounts a disk of two megabytes, in a process of the test's own, and reports whether
// this is that process.
func smallDisk(t *testing.T) (dir string, ok bool) {
	t.Helper()
	if os.Getuid() != 0 {
		testenv.Skip(t, "must be root for this test")
	}
	if !testenv.Alone(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return "", false
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir, true
}

// fill takes all that is free of the program's disk.
func (p *program) fill() {
	p.t.Helper()
	file, err := os.Create(filepath.Join(p.dir, "fill"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer file.Close()
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		p.t.Fatal(err)
	}
}

// wal has the database in WAL mode, in which a swap makes files beside it.
func (p *program) wal() {
	p.t.Helper()
	if _, err := p.db.Exec("PRAGMA journal_mode=WAL"); err != nil {
		p.t.Fatal(err)
	}
}

// sickWith is a Health that fails with a version.
func sickWith(number *atomic.Uint64) func(*Config) {
	return func(c *Config) {
		c.Health = func(_ context.Context, v Version) error {
			if v.Number == number.Load() {
				return errors.New("prices are gone")
			}
			return nil
		}
	}
}

func TestANodeGoesBackThoughTheDiskIsFull(t *testing.T) {
	t.Parallel()
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	w := newWorld(t)
	one := w.publish("catalog")
	var sick atomic.Uint64
	a := w.programIn(dir, "a", one, sickWith(&sick))
	a.wal()
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Soak: time.Hour})
	w.phase(rollout.Soaking, 2)
	a.fill()
	sick.Store(2)
	a.has(1)
	if halted := w.phase(rollout.Halted, 2); len(halted.Failed) != 1 || strings.Contains(halted.Failed[0].Why, "stays") {
		t.Errorf("%+v", halted)
	}
	w.rollback()
	if done := w.phase(rollout.Done, 1); len(done.Failed) > 0 {
		t.Errorf("%+v", done)
	}
}

func TestARollbackTakesPlaceThoughTheDiskIsFull(t *testing.T) {
	t.Parallel()
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	w := newWorld(t)
	one := w.publish("catalog")
	a, b := w.programIn(dir, "a", one, nil), w.program("b", one, nil)
	a.wal()
	w.publish("catalog")
	w.publish("catalog")
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.rollout(2, rollout.Plan{})
	w.phase(rollout.Done, 2)

	// Amidst a rollout, and halted.
	w.rollout(3, rollout.Plan{Soak: time.Hour})
	w.phase(rollout.Soaking, 3)
	a.fill()
	w.rollback()
	if done := w.phase(rollout.Done, 2); len(done.Failed) > 0 {
		t.Errorf("%+v", done)
	}
	a.has(2)
	b.has(2)

	// When it is done, its room is free, and taken; then that of the oldest version is left.
	if err := os.Remove(filepath.Join(dir, "fill")); err != nil {
		t.Fatal(err)
	}
	w.rollout(3, rollout.Plan{})
	w.phase(rollout.Done, 3)
	a.gaveUp()
	a.fill()
	w.rollback()
	if done := w.phase(rollout.Done, 2); len(done.Failed) > 0 {
		t.Errorf("%+v", done)
	}
	a.has(2)
}

// gaveUp waits until nothing is reserved for the way back any more.
func (p *program) gaveUp() {
	p.t.Helper()
	eventually(p.t, "what was reserved is given up", func() bool {
		left, err := filepath.Glob(filepath.Join(p.dir, ".*hotswap-*"))
		return err == nil && len(left) == 0
	})
}

func TestWhatIsPreparedIsSwappedInThoughTheDiskIsFull(t *testing.T) {
	t.Parallel()
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	w := newWorld(t)
	one := w.publish("catalog")
	a, b := w.program("a", one, nil), w.programIn(dir, "b", one, nil)
	b.wal()
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Canary: 1, Approve: true})
	w.phase(rollout.Awaiting, 2)
	b.fill()
	w.order("catalog", func(before *rollout.Order, _ bool) (rollout.Order, error) { return before.Allow(1), nil })
	if done := w.phase(rollout.Done, 2); len(done.Failed) > 0 {
		t.Errorf("%+v", done)
	}
	a.has(2)
	b.has(2)
}

func TestANodeWithAFullDiskKnowsWhatItHasAfterARestart(t *testing.T) {
	t.Parallel()
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	w := newWorld(t)
	a := w.programIn(dir, "a", w.publish("catalog"), nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	a.stop()
	a.fill()
	a.start()
	a.has(1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	halted := w.phase(rollout.Halted, 2)
	if len(halted.Failed) != 1 || !strings.HasSuffix(halted.Failed[0].Why, "must stay free for the live database: make room on that disk") {
		t.Errorf("%+v", halted)
	}
	a.has(1)
}

// TestTheWayBackTakesWhatIsToStayFree: after a restart nothing is reserved any more, and the
// backup is copied into what is to stay free.
func TestTheWayBackTakesWhatIsToStayFree(t *testing.T) {
	t.Parallel()
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	w := newWorld(t)
	var sick atomic.Uint64
	a := w.programIn(dir, "a", w.publish("catalog"), sickWith(&sick))
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Soak: time.Hour})
	w.phase(rollout.Soaking, 2)
	a.fill()
	a.stop() // which gives up what was reserved: as much as it takes, and less than is to stay free
	if _, err := unnamed(dir, 1); !errors.Is(err, swapper.ErrNoSpace) {
		t.Error(err)
	}
	sick.Store(2)
	a.start()
	a.has(1)
	w.phase(rollout.Halted, 2)
}
