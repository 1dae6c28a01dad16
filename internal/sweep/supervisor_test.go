//go:build linux && (amd64 || arm64)

package sweep

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/seccomp"
)

// fault is what one run's call at point meets; the zero fault is none.
type fault struct {
	point int // from 1
	kill  bool
	errno unix.Errno
	ever  bool // every later call of the same name, too, until the operation's end
	move  bool // before the call somebody puts another file in the live one's place
}

func (f fault) String() string {
	switch {
	case f.kill:
		return "SIGKILL"
	case f.move:
		return "mv"
	case f.ever:
		return unix.ErrnoName(f.errno) + " from then on"
	}
	return unix.ErrnoName(f.errno) + " once"
}

// The victim calls faccessat of these right before and right after its
// operation: what lies between is swept.
const (
	markBegin = "/hotswap-sweep/begin"
	markEnd   = "/hotswap-sweep/end"
)

// supervisor decides over one victim's calls.
type supervisor struct {
	seccomp.Listener
	fault  fault
	record []call // of the run without a fault, to compare with; nil while it is made
	live   string // a path that must never be absent, if not empty
	place  *strings.Replacer
	move   func() error // puts another file in the live one's place

	flow *flow // decides instead, if not nil

	pid    int
	mem    *os.File
	within bool
	thread uint32 // the operation's
	calls  []call // between the marks
	// reached: the call at the fault's point came, and met the fault.
	reached bool
	wrong   []string
}

// errNoFilter: the kernel, or the container, has no seccomp for the victim.
var errNoFilter = errors.New("no filter")

// errStrayed: the run made other calls than the record, and was not judged. How long
// something takes may decide it: what waits for a reader does so for a while.
var errStrayed = errors.New("the operation is not the same in every run")

// exitNoFilter is the victim's exit code then.
const exitNoFilter = 77

// patience bounds a run. Nothing is decided by it but that a victim hangs.
const patience = 100 * time.Second

// supervise runs a victim to its end, with what it prints in out.
func (s *supervisor) supervise(cmd *exec.Cmd) (out []byte, killed bool, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, false, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.ExtraFiles = []*os.File{theirs}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return nil, false, err
	}
	hung := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	err = s.serve(cmd.Process, pair[0])
	waitErr := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) {
		status, _ := exit.Sys().(syscall.WaitStatus)
		killed = status.Signaled() && status.Signal() == unix.SIGKILL
		if exit.ExitCode() == exitNoFilter {
			return nil, false, fmt.Errorf("%w: %s", errNoFilter, stderr.Bytes())
		}
	}
	switch {
	case !hung.Stop():
		err = errors.Join(err, fmt.Errorf("it hung: killed after %s", patience))
	case waitErr != nil && !(killed && s.fault.kill):
		err = errors.Join(err, fmt.Errorf("%w: %s%s", waitErr, stdout.Bytes(), stderr.Bytes()))
	}
	return stdout.Bytes(), killed, err
}

// done reports whether the victim is to die now.
func (s *supervisor) done() bool { return s.fault.kill && len(s.calls) >= s.fault.point }

// serve answers the victim's calls until it is gone, or is to be killed: then
// with its latest call unanswered, which therefore never happens.
func (s *supervisor) serve(process *os.Process, socket int) error {
	var err error
	if s.Listener, err = seccomp.Accept(socket); err != nil {
		return err
	}
	s.pid = process.Pid
	defer unix.Close(s.FD)
	// Before the listener is closed, which would have the waiting call fail and
	// the victim go on.
	defer process.Kill()
	if s.mem, err = os.Open(fmt.Sprintf("/proc/%d/mem", s.pid)); err != nil {
		return err
	}
	defer s.mem.Close()
	for {
		n, ok, err := s.Next()
		if !ok || err != nil {
			return err // gone: the kill comes too late to matter
		}
		if err := s.decide(n); err != nil || s.done() {
			return err
		}
	}
}

// isWatch reports whether a call is such as the driver makes twice a second, to see
// whether the file is still the one at the path: a look at the path from another
// thread than the operation's. Those of the operation's other threads are left out,
// too; they change nothing.
func (s *supervisor) isWatch(n seccomp.Notification, c call) bool {
	return n.PID != s.thread && (c.String() == "statx "+databaseFile || c.String() == "name_to_handle_at "+databaseFile)
}

func (s *supervisor) decide(n seccomp.Notification) error {
	c, counts := s.describe(n)
	if c.name == "faccessat" && (c.paths[0] == markBegin || c.paths[0] == markEnd) {
		s.within, s.thread = c.paths[0] == markBegin, n.PID
		return s.Proceed(n)
	}
	if !s.within || !counts {
		return s.Proceed(n)
	}
	if s.flow != nil {
		return s.flow.decide(s, n, c)
	}
	if s.isWatch(n, c) {
		return s.Proceed(n)
	}
	s.calls = append(s.calls, c)
	at := len(s.calls)
	if s.live != "" {
		if _, err := os.Lstat(s.live); errors.Is(err, fs.ErrNotExist) {
			s.wrong = append(s.wrong, fmt.Sprintf("the path is absent at call %d, before %s", at, c))
			s.live = ""
		}
	}
	if s.record == nil || s.fault.point == 0 {
		return s.Proceed(n)
	}
	if at <= s.fault.point && s.record[at-1].String() != c.String() {
		return fmt.Errorf("call %d is %s here, and %s in the record: %w", at, c, s.record[at-1], errStrayed)
	}
	s.reached = at >= s.fault.point
	switch {
	case s.done():
		return nil
	case s.fault.move:
		if at == s.fault.point {
			if err := s.move(); err != nil {
				return err
			}
		}
	case at == s.fault.point, at > s.fault.point && s.fault.ever && c.name == s.record[s.fault.point-1].name:
		return s.Fail(n, s.fault.errno)
	}
	return s.Proceed(n)
}

// What is of chance in the names beside a database: the operation's id, and the
// numbers of inodes and cookies.
var (
	operationID = regexp.MustCompile(`hotswap-[A-Z2-7]{12}`)
	numbers     = regexp.MustCompile(`\.(undo|backup|number|n?copy)-[0-9a-f]+-[0-9a-f]+`)
)

const (
	readLock  = "fcntl F_RDLCK"
	writeLock = "fcntl F_WRLCK"
	unlock    = "fcntl F_UNLCK"
)
