package sockserver

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
)

// A client would else wait in the socket's queue for as long as the program has no
// descriptor for it. In a process of its own and without the rest of a server, which looks
// into /proc each second, nothing leaves a descriptor for a client to take.
func TestAProgramWithoutADescriptorLeftTellsEachClient(t *testing.T) {
	if !testenv.Alone(t, nil) {
		return
	}
	l, err := listen(filepath.Join(shortDir(t), "s.sock"), false)
	must(t, err)
	server := &http.Server{Handler: http.NotFoundHandler()}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	defer func() {
		server.Close()
		<-served
	}()
	newSocket := func() *os.File {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		file := os.NewFile(uintptr(fd), "client")
		t.Cleanup(func() { file.Close() })
		must(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10}))
		return file
	}
	clients := []*os.File{newSocket(), newSocket(), newSocket()}

	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	low := limit
	low.Cur = 256
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &low))
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	var filled []int
	for {
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == unix.EMFILE {
			break
		}
		must(t, err)
		filled = append(filled, fd)
	}
	ask := func(client *os.File) string {
		t.Helper()
		must(t, unix.Connect(int(client.Fd()), &unix.SockaddrUnix{Name: l.path}))
		fmt.Fprint(client, "GET /v1/version HTTP/1.1\r\nHost: hotswap\r\n\r\n")
		answer := make([]byte, 4096)
		n, err := client.Read(answer)
		if err != nil {
			t.Fatal(err)
		}
		return string(answer[:n])
	}
	for _, client := range clients[:2] {
		if got := ask(client); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !strings.Contains(got, "as many files open as it may") {
			t.Errorf("got %q", got)
		}
	}
	for _, fd := range filled {
		unix.Close(fd)
	}
	if got := ask(clients[2]); !strings.HasPrefix(got, "HTTP/1.1 404 ") {
		t.Errorf("with descriptors again: got %q", got)
	}
}

func TestAClientBeyondTheLimitHearsSoAndOfNoBrokenConnection(t *testing.T) {
	s := startServer(t, shortDir(t), Config{}, nil)
	for range maxConnections {
		conn := dial(t, s.SocketPath())
		fmt.Fprint(conn, "GET /v1/ver")
	}
	for range 30 {
		client := newTestClient(t, s)
		_, err := client.Version(t.Context())
		assertProblem(t, err, ProblemBusy)
		client.Close()
	}
}
