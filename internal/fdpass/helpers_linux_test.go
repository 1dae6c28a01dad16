package fdpass

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// connect returns the two ends of a connection, the server's by r.
func connect(t testing.TB, r *Receiver) (*Conn, *net.UnixConn) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	var conns [2]*net.UnixConn
	for i, fd := range ends {
		file := os.NewFile(uintptr(fd), "socket")
		conn, err := net.FileConn(file)
		must(t, err)
		file.Close()
		conns[i] = conn.(*net.UnixConn)
	}
	server := r.Conn(conns[0])
	t.Cleanup(func() { server.Close(); conns[1].Close() })
	return server, conns[1]
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a file; the descriptor is closed with the test.
func open(t testing.TB, path string, flags int) int {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// send sends text with descriptors beside its first byte.
func send(t testing.TB, conn *net.UnixConn, text string, fds ...int) {
	t.Helper()
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	_, _, err := conn.WriteMsgUnix([]byte(text), rights, nil)
	must(t, err)
}

// receive reads a text whole.
func receive(t testing.TB, conn *Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v", got, err)
	}
}

// isOpen reports whether any thread of this process has a file open under name.
func isOpen(t testing.TB, name string) bool {
	t.Helper()
	links, err := filepath.Glob("/proc/self/task/*/fd/*")
	must(t, err)
	return slices.ContainsFunc(links, func(link string) bool {
		target, err := os.Readlink(link)
		return err == nil && target == name
	})
}

func writeFile(t testing.TB, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
