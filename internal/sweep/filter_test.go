//go:build linux && (amd64 || arm64)

package sweep

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What unix lacks of seccomp_unotify(2), <linux/seccomp.h>.
type (
	notification struct {
		id    uint64
		pid   uint32
		flags uint32
		nr    int32
		arch  uint32
		ip    uint64
		args  [6]uint64
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

// installFilter has every system call of this process that may concern a file
// ask the test, and sends it the descriptor by which it answers.
func installFilter(socket int) error {
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

// listener is the test's end of a victim's filter.
type listener struct{ fd int }

func (l listener) ioctl(request uintptr, arg unsafe.Pointer) error {
	for {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(l.fd), request, uintptr(arg)); errno == 0 {
			return nil
		} else if errno != unix.EINTR {
			return errno
		}
	}
}

// next waits for the next call; false says that the victim is gone.
func (l listener) next() (notification, bool, error) {
	for {
		poll := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, -1); err != nil && err != unix.EINTR {
			return notification{}, false, fmt.Errorf("wait for a call: %w", err)
		}
		switch {
		case poll[0].Revents&unix.POLLIN != 0:
			var n notification
			switch err := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err {
			case nil:
				return n, true, nil
			case unix.ENOENT: // its thread was killed meanwhile
			default:
				return n, false, fmt.Errorf("receive a call: %w", err)
			}
		case poll[0].Revents != 0:
			return notification{}, false, nil
		}
	}
}

// proceed lets the call happen.
func (l listener) proceed(n notification) error {
	return l.send(answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
}

// fail makes the call return errno, without effect but for close(2): that one
// closes the descriptor whatever it returns.
func (l listener) fail(n notification, errno unix.Errno) error {
	if uintptr(n.nr) == unix.SYS_CLOSE {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		defer null.Close()
		over := addFD{id: n.id, flags: unix.SECCOMP_ADDFD_FLAG_SETFD, src: uint32(null.Fd()), dst: uint32(n.args[0]), closeOnXec: unix.O_CLOEXEC}
		if err := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_ADDFD, unsafe.Pointer(&over)); err != nil {
			return fmt.Errorf("close the descriptor: %w", err)
		}
	}
	return l.send(answer{id: n.id, errno: -int32(errno)})
}

func (l listener) send(a answer) error {
	if err := l.ioctl(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a)); err != nil && err != unix.ENOENT {
		return fmt.Errorf("answer a call: %w", err)
	}
	return nil
}
