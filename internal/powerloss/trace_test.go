//go:build linux && amd64

package powerloss

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tracer runs a process and sees, by ptrace(2), every system call of it that
// changes or syncs what is in a directory, in one order over all of its threads.
// strace would number them by thread, which in a Go program is left to chance.
type tracer struct {
	dir string // absolute, and no symlink in it
	// enter decides what becomes of a call that is about to be made. The
	// thread stands still until it returns.
	enter func(event) action
	// leave, if set, gets the calls that were made and succeeded.
	leave func(event)
}

// action is what becomes of a system call.
type action int

const (
	proceed action = iota
	omit           // return 0 without doing anything
	kill           // the process ends here
)

// errKilled is run's error if enter said kill.
var errKilled = errors.New("killed")

// thread is a traced thread between two stops.
type thread struct {
	event   *event // what it does to the directory; nil if nothing
	omitted bool
}

// syscallInfo is struct ptrace_syscall_info of ptrace(2).
type syscallInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	_    [2]uint64 // instruction and stack pointer
	data [7]uint64 // entry: the call's number and arguments; exit: its result
	_    [1]uint64 // longer than any present version of it
}

const (
	syscallEntry = 1 // PTRACE_SYSCALL_INFO_ENTRY
	syscallExit  = 2 // PTRACE_SYSCALL_INFO_EXIT
)

// run starts the program with the environment and returns when it has ended. Its
// standard output is nowhere but in the events.
func (t *tracer) run(name string, env []string, args ...string) error {
	runtime.LockOSThread() // ptrace knows threads, not processes
	defer runtime.UnlockOSThread()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	p, err := os.StartProcess(name, append([]string{name}, args...), &os.ProcAttr{
		Env: env, Files: []*os.File{null, null, os.Stderr},
		// A group of its own, to wait for it and nothing else: this thread may have
		// other children, which outlive it or are waited for elsewhere.
		Sys: &unix.SysProcAttr{Ptrace: true, Setpgid: true},
	})
	if err != nil {
		return err
	}
	defer p.Release()
	if err = t.follow(p.Pid); err != nil {
		p.Kill()
	}
	for { // until nothing of it is left that keeps a file open
		_, waitErr := unix.Wait4(-p.Pid, nil, unix.WALL, nil)
		if errors.Is(waitErr, unix.ECHILD) {
			return err
		}
	}
}

func (t *tracer) follow(pid int) error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil || !status.Stopped() {
		return fmt.Errorf("the process did not stop behind its exec: %v, status %x", err, status)
	}
	if err := unix.PtraceSetOptions(pid, unix.PTRACE_O_EXITKILL|unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE); err != nil {
		return fmt.Errorf("ptrace: set the options: %w", err)
	}
	threads := map[int]*thread{pid: {}}
	tid, signal := pid, 0
	for {
		// ESRCH: the thread has ended, or is just being killed.
		if err := unix.PtraceSyscall(tid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("ptrace: resume: %w", err)
		}
		var err error
		if tid, err = unix.Wait4(-pid, &status, unix.WALL, nil); err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		signal = 0
		if !status.Stopped() {
			delete(threads, tid)
			if tid != pid {
				continue
			}
			if status.Signaled() || status.ExitStatus() != 0 {
				return fmt.Errorf("the process ended: exit status %d, signal %d", status.ExitStatus(), status.Signal())
			}
			return nil
		}
		if threads[tid] == nil {
			threads[tid] = &thread{}
		}
		switch status.StopSignal() {
		case unix.SIGTRAP | 0x80:
			// A thread may be killed while it stands still, when the process exits.
			if err := t.syscall(pid, tid, threads[tid]); err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		case unix.SIGTRAP, unix.SIGSTOP: // of ptrace: a new thread, and its first stop
		default:
			signal = int(status.StopSignal())
		}
	}
}

// syscall is a stop at the entry or the exit of a system call.
func (t *tracer) syscall(pid, tid int, th *thread) error {
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("ptrace: get the system call: %w", errno)
	}
	switch info.op {
	case syscallEntry:
		e, err := (&call{pid: pid, dir: t.dir, number: info.data[0], args: [6]uint64(info.data[1:7])}).event()
		if err != nil || e == nil {
			return err
		}
		th.event = e
		switch t.enter(*e) {
		case kill:
			return errKilled
		case omit:
			th.omitted = true
			return setRegister(tid, func(r *unix.PtraceRegs) { r.Orig_rax = ^uint64(0) })
		}
	case syscallExit:
		e, result := th.event, int64(info.data[0])
		th.event = nil
		switch {
		case th.omitted:
			th.omitted = false
			return setRegister(tid, func(r *unix.PtraceRegs) { r.Rax = 0 })
		case e == nil || result < 0 || t.leave == nil:
			return nil
		}
		return t.made(*e, result)
	}
	return nil
}

// made completes the event of a call by what is only known behind it.
func (t *tracer) made(e event, result int64) error {
	switch e.op {
	case opWrite:
		e.data = e.data[:result]
	case opCreate:
		var st unix.Stat_t
		if err := unix.Lstat(t.dir+"/"+e.name, &st); err != nil {
			return fmt.Errorf("%s: %w", e, err)
		}
		e.inode = st.Ino
	}
	t.leave(e)
	return nil
}

func setRegister(tid int, set func(*unix.PtraceRegs)) error {
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &regs); err != nil {
		return fmt.Errorf("ptrace: get the registers: %w", err)
	}
	set(&regs)
	if err := unix.PtraceSetRegs(tid, &regs); err != nil {
		return fmt.Errorf("ptrace: set the registers: %w", err)
	}
	return nil
}

// readMemory copies n bytes out of a process.
func readMemory(pid int, addr, n uint64) ([]byte, error) {
	buf := make([]byte, n)
	if n == 0 {
		return buf, nil
	}
	local := []unix.Iovec{{Base: &buf[0], Len: n}}
	got, err := unix.ProcessVMReadv(pid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: int(n)}}, 0)
	if err == nil && uint64(got) < n {
		err = unix.EFAULT
	}
	return buf, err
}

// readString copies a path out of a process, page by page: behind the end of it
// there may be no memory.
func readString(pid int, addr uint64) (string, error) {
	var s strings.Builder
	for {
		page, err := readMemory(pid, addr, 4096-addr%4096)
		if err != nil {
			return "", err
		}
		addr += uint64(len(page))
		for i, b := range page {
			if b == 0 {
				s.Write(page[:i])
				return s.String(), nil
			}
		}
		s.Write(page)
	}
}
