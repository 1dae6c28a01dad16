//go:build linux && (amd64 || arm64)

package sweep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/fdpass"
	"hotswap/swapper"
)

// passed is a descriptor as a server gets it from a client, who has one end of a pipe or
// a file.
type passed struct {
	file *fdpass.File
	pipe *os.File // the end that the client keeps; nil of a file
}

// passes lays out what the operation gets passed, before it begins.
type passes func(v *victim) (mine, kept *os.File, err error)

// roomy is how much a pipe holds, which is all of what goes through it: nobody is at its
// other end meanwhile.
const roomy = 1 << 20

func newPipe() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		return nil, nil, err
	}
	_, err = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, roomy)
	return r, w, err
}

// fullPipe has the image in it, and its end.
func fullPipe(v *victim) (mine, kept *os.File, err error) {
	r, w, err := newPipe()
	if err != nil {
		return nil, nil, err
	}
	_, err = w.Write(v.image)
	return r, nil, errors.Join(err, w.Close())
}

func emptyPipe(*victim) (mine, kept *os.File, err error) {
	kept, mine, err = newPipe()
	return mine, kept, err
}

func theImage(v *victim) (mine, kept *os.File, err error) {
	mine, err = os.Open(v.imagePath())
	return mine, nil, err
}

// pass passes what the scenario has for it through a socket, as a client does.
func (v *victim) pass(what passes) error {
	mine, kept, err := what(v)
	if err != nil {
		return err
	}
	defer mine.Close()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var conns [2]*net.UnixConn
	for i, fd := range ends {
		file := os.NewFile(uintptr(fd), "socket")
		conn, err := net.FileConn(file)
		if err != nil {
			return err
		}
		file.Close()
		conns[i] = conn.(*net.UnixConn)
		defer conn.Close()
	}
	if _, err := fdpass.NewSender(conns[0], mine, nil).Write([]byte{'x'}); err != nil {
		return err
	}
	server := fdpass.NewReceiver().Conn(conns[1])
	if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
		return err
	}
	v.passed = passed{file: server.Take(), pipe: kept}
	if v.passed.file == nil {
		return errors.New("no descriptor came")
	}
	return nil
}

// passedPatience is longer than any step takes.
const passedPatience = time.Minute

// pushPassed is without a digest, which is computed at any time.
func pushPassed(v *victim) (swapper.Report, error) {
	return swapper.Push(context.Background(), v.db, v.passed.file.Source(passedPatience),
		swapper.PushOptions{Source: "passed", Method: swapper.MethodRename, Timeout: lockTimeout, Quick: true})
}

// pullPassed reads the pipe when all of it is there.
func pullPassed(v *victim) (swapper.Report, error) {
	report, err := swapper.Pull(context.Background(), v.db, v.passed.file.Dest(passedPatience, false), swapper.PullOptions{Dest: "passed"})
	if err != nil {
		return report, err
	}
	if _, copyErr := io.CopyN(&v.pulled, v.passed.pipe, report.Bytes); copyErr != nil {
		return report, fmt.Errorf("read the pipe: %w", copyErr)
	}
	return report, nil
}
