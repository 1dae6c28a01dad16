package sockserver

import (
	"context"
	"errors"
	"hotswap/internal/testenv"
	"net"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"testing"
)

const nobody = 65534

// dialAs connects as another user: the kernel records the credentials of the
// thread that connects. The thread ends with the goroutine that it is locked to.
func dialAs(t *testing.T, uid int, path string) (net.Conn, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "only root can be another user")
	}
	type result struct {
		conn net.Conn
		err  error
	}
	dialled := make(chan result)
	go func() {
		runtime.LockOSThread()
		none := ^uintptr(0)
		for _, call := range []uintptr{syscall.SYS_SETRESGID, syscall.SYS_SETRESUID} {
			if _, _, errno := syscall.RawSyscall(call, none, uintptr(uid), none); errno != 0 {
				dialled <- result{nil, errno}
				return
			}
		}
		conn, err := dialSocket(context.Background(), path)
		dialled <- result{conn, err}
	}()
	got := <-dialled
	if got.conn != nil {
		t.Cleanup(func() { got.conn.Close() })
	}
	return got.conn, got.err
}

func TestAnotherUserCantReachTheSocket(t *testing.T) {
	s := startServer(t, shortDir(t), Config{}, nil)
	_, err := dialAs(t, nobody, s.SocketPath())
	if !errors.Is(err, ErrSocketNotAllowed) {
		t.Fatalf("got %v, want ErrSocketNotAllowed", err)
	}
}

func TestAnotherUserIsRefusedInWords(t *testing.T) {
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, Config{AllowUIDs: []uint32{12345}}, nil)
	for _, path := range []string{s.SocketPath(), s.StderrSocketPath()} {
		conn, err := dialAs(t, nobody, path)
		if err != nil {
			t.Fatal(err)
		}
		var p *Problem
		if err := versionOver(t, conn); !errors.As(err, &p) || p.Status != http.StatusForbidden || p.Exit != exitNotAllowed {
			t.Errorf("%s: got %v, want a 403 for exit 77", path, err)
		}
	}
}

func TestUsersAndGroupsCanBeLetIn(t *testing.T) {
	for name, cfg := range map[string]Config{
		"user":  {AllowUIDs: []uint32{nobody}},
		"group": {AllowGIDs: []uint32{nobody}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			s := startServer(t, dir, cfg, nil)
			conn, err := dialAs(t, nobody, s.SocketPath())
			if err != nil {
				t.Fatal(err)
			}
			if err := versionOver(t, conn); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func versionOver(t *testing.T, conn net.Conn) error {
	t.Helper()
	c := NewClient(ClientConfig{})
	transport := c.commands.Transport.(*http.Transport)
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	defer c.Close()
	_, err := c.Version(t.Context())
	return err
}
