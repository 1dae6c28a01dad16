package sockserver

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"hotswap/internal/testenv"
)

// listeningFiles makes sockets in dir and returns them as files to inherit.
func listeningFiles(t *testing.T, dir string, names ...string) (files []*os.File) {
	t.Helper()
	for _, name := range names {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		file, err := l.File()
		l.Close()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		files = append(files, file)
	}
	return files
}

// startInheriting runs this test again in a process that was handed files under
// names, and returns its stdin, which ends it, the line that says how it started, and all up to that.
func startInheriting(t *testing.T, names string, files []*os.File) (end io.Closer, line string, said []string) {
	t.Helper()
	// Only the process itself can know its number; exec keeps it.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "HOTSWAP_TEST_INHERITING=1", "LISTEN_FDNAMES="+names, fmt.Sprintf("LISTEN_FDS=%d", len(files)))
	cmd.ExtraFiles, cmd.Dir, cmd.Stderr = files, t.TempDir(), os.Stderr
	child := testenv.Start(t, cmd)
	t.Cleanup(func() {
		if err := child.End(); err != nil {
			t.Error(err)
		}
	})
	for !strings.HasPrefix(line, "listening ") && !strings.HasPrefix(line, "refused ") {
		line = child.Line()
		said = append(said, line)
	}
	return child.In, line, said
}

// inheriting is the other process: it serves, twice in a row, until its stdin ends.
func inheriting() {
	for range 2 {
		s, err := Start(Config{Logger: zerolog.New(os.Stdout)})
		if err != nil {
			fmt.Printf("\nrefused %s\n", strings.ReplaceAll(err.Error(), " ", "_"))
			return
		}
		defer s.Close()
		if s.Close() != nil {
			os.Exit(1)
		}
	}
	s, err := Start(Config{})
	if err != nil {
		os.Exit(1)
	}
	fmt.Printf("\nlistening %s\n", s.SocketPath())
	io.Copy(io.Discard, os.Stdin)
	if s.Close() != nil {
		os.Exit(1)
	}
}

func TestInheritedSocketsAreServedAndLeftInPlace(t *testing.T) {
	if os.Getenv("HOTSWAP_TEST_INHERITING") != "" {
		inheriting()
		return
	}
	dir := shortDir(t)
	files := listeningFiles(t, dir, "other", "events", "commands")
	end, line, said := startInheriting(t, "unrelated:hotswap.stderr:hotswap", files)
	if line != "listening "+dir+"/commands" {
		t.Fatalf("the process says %q", line)
	}
	if text := strings.Join(said, "\n"); strings.Contains(text, "served by nobody") {
		t.Errorf("it complains: %s", text)
	}
	c := NewClient(ClientConfig{SocketPath: dir + "/commands", StderrSocketPath: dir + "/events"})
	defer c.Close()
	version, err := c.Version(t.Context())
	if err != nil || version.PID == os.Getpid() {
		t.Fatalf("got %+v, %v", version, err)
	}
	sub, err := c.Subscribe(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	end.Close()
	if _, err := sub.Next(); err != io.EOF {
		t.Errorf("the subscription ended with %v", err)
	}
	sub.Close()
	for _, name := range []string{"commands", "events"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestInheritedDescriptorThatIsNoSocketIsRefused(t *testing.T) {
	if os.Getenv("HOTSWAP_TEST_INHERITING") != "" {
		inheriting()
		return
	}
	dir := shortDir(t)
	writeFile(t, dir+"/file", "")
	file, err := os.Open(dir + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	tcpFile, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer tcpFile.Close()
	for _, test := range []struct {
		names string
		files []*os.File
		words string
	}{
		{"hotswap", []*os.File{file}, "descriptor_3"},
		{"hotswap", []*os.File{tcpFile}, "not_a_Unix_socket"},
		{"hotswap:hotswap", []*os.File{file, file}, "has_2_of_that_name"},
	} {
		if _, line, _ := startInheriting(t, test.names, test.files); !strings.Contains(line, test.words) {
			t.Errorf("the process says %q, and nothing of %q", line, test.words)
		}
	}
}

func TestSocketsOfAnotherProcessAreNotTakenOver(t *testing.T) {
	t.Setenv("LISTEN_PID", fmt.Sprint(os.Getppid()))
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_FDNAMES", inheritedSocket)
	if l, err := inherited(inheritedSocket); l != nil || err != nil {
		t.Errorf("got %v, %v", l, err)
	}
}

func TestSocketsWithOtherNamesAreReported(t *testing.T) {
	if os.Getenv("HOTSWAP_TEST_INHERITING") != "" {
		inheriting()
		return
	}
	dir := shortDir(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	http, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer http.Close()
	// Each process has its own: to pass one on makes it blocking for all that have it.
	one, two := listeningFiles(t, dir, "commands", "events"), listeningFiles(t, dir, "c", "e")
	for _, test := range []struct {
		names string
		files []*os.File
		level string
		got   string
	}{
		{"app-hotswap.socket:hotswap.stderr", one, "warn", `["app-hotswap.socket (` + dir + `/commands)"]`},
		{"", two, "warn", `[" (` + dir + `/c)"," (` + dir + `/e)"]`},
		{"http", []*os.File{http}, "info", `["http (` + tcp.Addr().String() + `)"]`},
	} {
		_, line, said := startInheriting(t, test.names, test.files)
		text := strings.Join(said, "\n")
		if !strings.HasPrefix(line, "listening ") || !strings.Contains(text, `"level":"`+test.level+`","passed":`+test.got+`,"expected":["hotswap","hotswap.stderr"],"made":["`) {
			t.Errorf("%q: it says %s", test.names, text)
		}
	}
}
