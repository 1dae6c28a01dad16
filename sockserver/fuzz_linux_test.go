package sockserver

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
)

// FuzzDescriptors passes descriptors of all kinds with a request: it is answered,
// the live database stays as it is, and none of them stays open.
func FuzzDescriptors(f *testing.F) {
	dir, live := openZoo(f)
	// Not by startServer: its log is f's, which may not be written to from within.
	s, err := Start(Config{SocketPath: dir + "/s.sock", DatabasePaths: []string{dir + "/db"}})
	must(f, err)
	defer s.Close()
	before := contentOf(f, live)
	for i := range descriptorZoo {
		f.Add([]byte{byte(i)}, "source", true)
		f.Add([]byte{byte(i), byte(i + 1)}, "destination", false)
	}
	f.Add([]byte{}, "source", true)
	f.Fuzz(func(t *testing.T, kinds []byte, announced string, push bool) {
		if len(kinds) > 100 || strings.ContainsAny(announced, "\r\n\x00") {
			return
		}
		var fds []int
		for _, kind := range kinds {
			if opened := descriptorZoo[int(kind)%len(descriptorZoo)].open(t, dir); len(opened) > 100 {
				closeAll(opened[1:])
				fds = append(fds, opened[0])
			} else {
				fds = append(fds, opened...)
			}
		}
		head := "GET /v1/snapshot"
		if push {
			head = "PUT /v1/database"
		}
		conn, err := net.Dial("unix", s.SocketPath())
		must(t, err)
		defer conn.Close()
		text := fmt.Sprintf("%s?path=database HTTP/1.1\r\nHost: x\r\nConnection: close\r\nHotswap-Descriptor: %s\r\n\r\n", head, announced)
		if len(fds) == 0 {
			fmt.Fprint(conn, text)
		} else {
			sendWith(t, conn, text, fds...)
		}
		closeAll(fds)
		answer := make([]byte, 12)
		if _, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 ") {
			t.Fatalf("answered with %q, %v", answer, err)
		}
		must(t, os.WriteFile(dir+"/file", []byte("no database"), 0o600)) // a pull may have filled it
		if after := contentOf(t, live); after != before {
			t.Fatal("the database has changed")
		}
		for _, name := range []string{dir + "/file", dir + "/empty"} {
			testenv.Until(t, name+" is closed", func() bool { return !isOpen(t, name) })
		}
	})
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
