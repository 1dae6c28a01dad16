package sockserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"testing"

	"hotswap/internal/testenv"
)

const nobody = 65534

// dialAs connects as another user: the kernel records the credentials of the
// thread that connects. The thread ends with the goroutine that it is locked to.
func dialAs(t *testing.T, uid int, path string) (net.Conn, error) {
	t.Helper()
	conns, err := dialManyAs(t, uid, path, 1)
	if err != nil {
		return nil, err
	}
	return conns[0], nil
}

// dialManyAs is dialAs n times.
func dialManyAs(t *testing.T, uid int, path string, n int) ([]net.Conn, error) {
	t.Helper()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "only root can be another user")
	}
	type result struct {
		conns []net.Conn
		err   error
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
		var all result
		for range n {
			var conn net.Conn
			if conn, all.err = dialSocket(context.Background(), path); all.err != nil {
				break
			}
			all.conns = append(all.conns, conn)
		}
		dialled <- all
	}()
	got := <-dialled
	for _, conn := range got.conns {
		t.Cleanup(func() { conn.Close() })
	}
	return got.conns, got.err
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
		if err := versionOver(t, conn); !errors.As(err, &p) || p.Status != http.StatusForbidden || p.Type != ProblemNotAllowed {
			t.Errorf("%s: got %v, want a 403", path, err)
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

func TestUsersWhoMayNotComeInTakeNobodysPlace(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, Config{AllowUIDs: []uint32{12345}}, nil)
	conns, err := dialManyAs(t, nobody, s.SocketPath(), maxConnections+maxRefusals)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newTestClient(t, s).Version(t.Context()); err != nil {
		t.Fatalf("the program's own user: %v", err)
	}
	// Who said nothing yet may still say it, and hear why not, up to a bound; the
	// others have heard.
	for i, conn := range conns {
		if i < maxRefusals {
			fmt.Fprint(conn, "GET /v1/version HTTP/1.1\r\nHost: hotswap\r\n\r\n")
		}
		if p := assertProblem(t, answerOf(t, conn), ProblemNotAllowed); p.Status != http.StatusForbidden {
			t.Fatalf("connection %d: got %d", i, p.Status)
		}
		conn.Close()
	}
}

func TestUserWhoIsLetInLeavesRoomForTheProgramsOwn(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, Config{AllowUIDs: []uint32{nobody, nobody - 1, nobody - 2, nobody - 3, nobody - 4}}, nil)
	for uid := nobody - 4; uid <= nobody; uid++ {
		conns, err := dialManyAs(t, uid, s.SocketPath(), maxConnections/4+1)
		if err != nil {
			t.Fatal(err)
		}
		// The last one is one too many for its user.
		assertProblem(t, answerOf(t, conns[len(conns)-1]), ProblemBusy)
	}
	if _, err := newTestClient(t, s).Version(t.Context()); err != nil {
		t.Fatalf("the program's own user: %v", err)
	}
}
