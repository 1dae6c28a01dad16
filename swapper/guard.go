package swapper

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"hotswap/internal/unix"
)

// guard keeps everybody else off the live file while it is replaced, and off
// the replaced file afterwards. It is made while no connection of this process
// is open, since closing a descriptor of a file drops all locks that the process has
// on it (https://www.sqlite.org/howtocorrupt.html, section 2.2).
//
// Its one descriptor has three locks, each against somebody else:
//
//   - a lease, against everybody who opens the file: it is granted only if nobody has
//     the file open, in whatever process and however idle, and whoever opens it from
//     then on waits in open(2) until the lease ends (F_SETLEASE in fcntl(2));
//   - the fence, against SQLite: a lock on the bytes that its own locks are on. Whoever
//     was waiting in open(2) gets the replaced file, and because of the fence
//     SQLITE_BUSY, instead of reading the old database or writing into it in vain;
//   - an flock, against RemoveOrphans, to which the file looks like an orphan once the
//     new one has its name.
//
// A file that the program may read but not write (mode 0444, and the program is not
// root) can't be fenced: that takes a descriptor for writing. Whoever was waiting in
// open(2) then reads the replaced database until it opens the path again; it has no
// right to write, either.
type guard struct {
	file     *os.File
	leased   bool
	unfenced bool
	asked    time.Time // when the lease was
	since    time.Time // of the rename
}

// newGuard opens the file. It returns errLeaseRefused if somebody else has it
// open. A lease that can't be had for another reason is an error only if the
// caller wants one.
func newGuard(path string, wantLease bool) (*guard, error) {
	g := &guard{}
	f, err := openLiveFile(path, os.O_RDWR)
	if errors.Is(err, fs.ErrPermission) {
		g.unfenced = true
		f, err = openLiveFile(path, os.O_RDONLY)
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errLeaseRefused // another has a lease on it
	}
	if err != nil {
		return nil, failed("open the live file", err)
	}
	g.file = f
	if wantLease {
		g.asked = time.Now()
		if err := setLease(f); err != nil {
			f.Close()
			if !errors.Is(err, errLeaseRefused) {
				// Another user's file, for one, and no CAP_LEASE.
				err = &failure{text: "the kernel can't be asked who else has the file open", cause: err, kinds: []error{ErrNotPermitted},
					hint: "run the program as the file's owner, or push in place (--method=in-place)", inPlace: true}
			}
			return nil, err
		}
		g.leased = true
	}
	if !g.unfenced {
		if err := fence(f); err != nil {
			f.Close()
			return nil, err
		}
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, failed("lock the live file", err)
	}
	return g, nil
}

// openLiveFile never blocks, whatever is at the path by now.
func openLiveFile(path string, access int) (*os.File, error) {
	return os.OpenFile(path, access|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

var (
	// errLeaseRefused: somebody has the file open.
	errLeaseRefused = errors.New("somebody else has the file open")
	errFenceRefused = errors.New("somebody else has the file locked")
)

// kept reports whether the lease has been there all the time. While somebody waits for
// the file the kernel says that it is about to end, and when it has waited for too long
// takes it away: as from a process that is stopped here (SIGSTOP).
func (g *guard) kept() bool {
	return !g.leased || leaseHeld(g.file) || time.Since(g.asked) < leaseBreakTime()
}

// endLease releases those that wait in open(2).
func (g *guard) endLease() {
	if g.leased {
		dropLease(g.file)
		g.leased = false
	}
}

// close gives up all locks. On the live file it is allowed only with the gate closed.
func (g *guard) close() { g.file.Close() }

// fenceGrace is how long the fence stays at least: a process that has resolved the path
// before the rename, and not yet opened what it found, can't be seen.
const fenceGrace = 50 * time.Millisecond

// lingerEvery is how often the fence is tried to be dropped.
const lingerEvery = time.Second

// lift ends the guard of a replaced file once nobody has it open any longer. It does not
// wait for that; but if wait is set it waits for the first attempt, so that the file may
// be opened when it returns.
func (g *guard) lift(wait bool, met func()) {
	first := time.Until(g.since.Add(fenceGrace))
	if !wait {
		time.AfterFunc(first, func() { g.drop(met) })
		return
	}
	time.Sleep(first)
	g.drop(met)
}

// drop closes the file if a lease shows that nobody else has it open. Else it tries
// again later, and calls met once.
func (g *guard) drop(met func()) {
	if err := setLease(g.file); !errors.Is(err, errLeaseRefused) {
		g.file.Close()
		return
	}
	if met != nil {
		met()
	}
	time.AfterFunc(lingerEvery, func() { g.drop(nil) })
}
