//go:build linux && (amd64 || arm64)

// Package seccomp has a test decide over the system calls of a child process: whether each
// happens, fails, or is never returned from since the process is killed
// (seccomp_unotify(2), Linux 5.9).
package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What unix lacks of seccomp_unotify(2), <linux/seccomp.h>.
type (
	// Notification is a call that waits for an answer.
	Notification struct {
		id    uint64
		PID   uint32 // of the thread
		flags uint32
		Nr    int32
		arch  uint32
		ip    uint64
		Args  [6]uint64
	}
	answer struct {
		id    uint64
		val   int64
		errno int32 // negative
		flags uint32
	}
	addFD struct {
		id         uint64
		flags      uint32
		src        uint32
		dst        uint32
		closeOnXec uint32
	}
)

// Install has every system call of this process that may concern a file
// ask the test, and sends it the descriptor by which it answers.
func Install(socket int) error {
	// 0 is the offset of the call's number in struct seccomp_data.
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	for i, nr := range unfiltered {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K,
			Jt: uint8(len(unfiltered) - i), K: uint32(nr)}) // to the last line
	}
	program = append(program,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	fprog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	payload, rights := []byte{0}, unix.UnixRights(0)
	iov := unix.Iovec{Base: &payload[0]}
	iov.SetLen(len(payload))
	message := unix.Msghdr{Iov: &iov, Control: &rights[0]}
	message.SetIovlen(1)
	message.SetControllen(len(rights))
	// The right to filter is the thread's; the filter then goes to all of them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	// Between these two calls nobody answers. The scheduler must not come to run:
	// threads of the runtime may be waiting in a call, and not let go of it.
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_TSYNC|unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
		uintptr(unsafe.Pointer(&fprog)))
	if errno != 0 {
		return fmt.Errorf("install a seccomp filter: %w", errno)
	}
	binary.NativeEndian.PutUint32(rights[unix.CmsgLen(0):], uint32(fd))
	if _, _, errno := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(socket), uintptr(unsafe.Pointer(&message)), 0); errno != 0 {
		return fmt.Errorf("send the listener: %w", errno)
	}
	unix.Close(int(fd))
	return nil
}

// Accept receives the listener of the child that was given the other end of the socket.
func Accept(socket int) (Listener, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(socket, make([]byte, 1), oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return Listener{}, errors.Join(errors.New("the child did not come to its filter"), err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return Listener{}, errors.Join(errors.New("the child sent no listener"), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return Listener{}, err
	}
	return Listener{fds[0]}, nil
}

// Listener is the test's end of a victim's filter.
type Listener struct{ FD int }

func (l Listener) ioctl(request uintptr, arg unsafe.Pointer) error {
	for {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(l.FD), request, uintptr(arg)); errno == 0 {
			return nil
		} else if errno != unix.EINTR {
			return errno
		}
	}
}

// Next waits for the next call; false says that the victim is gone.
func (l Listener) Next() (Notification, bool, error) {
	for {
		poll := []unix.PollFd{{Fd: int32(l.FD), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && err != unix.EINTR {
			return Notification{}, false, fmt.Errorf("wait for a call: %w", err)
		}
		switch {
		case poll[0].Revents&unix.POLLIN != 0:
			var n Notification
			switch err := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err {
			case nil:
				return n, true, nil
			case unix.ENOENT: // its thread was killed meanwhile
			default:
				return n, false, fmt.Errorf("receive a call: %w", err)
			}
		case poll[0].Revents != 0:
			return Notification{}, false, nil
		}
	}
}

// Proceed lets the call happen.
func (l Listener) Proceed(n Notification) error {
	return l.send(answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

// Fail makes the call return errno, without effect but for close(2): that one
// closes the descriptor whatever it returns.
func (l Listener) Fail(n Notification, errno unix.Errno) error {
	if uintptr(n.Nr) == unix.SYS_CLOSE {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		defer null.Close()
		over := addFD{id: n.id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, src: uint32(null.Fd()), dst: uint32(n.Args[0]), closeOnXec: unix.O_CLOEXEC}
		if err := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&over)); err != nil {
			return fmt.Errorf("close the descriptor: %w", err)
		}
	}
	return l.send(answer{id: n.id, errno: -int32(errno)})
}

func (l Listener) send(a answer) error {
	if err := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)); err != nil && err != unix.ENOENT {
		return fmt.Errorf("answer a call: %w", err)
	}
	return nil
}

// unfiltered are the calls of the Go and C runtimes that concern no file; they
// run without asking. munmap is among them: it changes nothing on a disk, and
// can't be told from the allocators' own.
var unfiltered = []uintptr{
	unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY, unix.SYS_SCHED_YIELD,
	unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_CREATE1, unix.SYS_EVENTFD2, unix.SYS_PPOLL,
	unix.SYS_MADVISE, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MREMAP, unix.SYS_BRK, unix.SYS_MINCORE,
	unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK, unix.SYS_RESTART_SYSCALL,
	unix.SYS_TGKILL, unix.SYS_TKILL, unix.SYS_KILL, unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_GETPPID,
	unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_UNAME, unix.SYS_PRCTL, unix.SYS_PRLIMIT64,
	unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_RSEQ, unix.SYS_SET_ROBUST_LIST,
	unix.SYS_SCHED_GETAFFINITY, unix.SYS_GETRANDOM, unix.SYS_SETITIMER, unix.SYS_MEMBARRIER,
	unix.SYS_SENDMSG, // sends the listener
}
