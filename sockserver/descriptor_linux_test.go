package sockserver

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// sendWith sends text with descriptors of files beside its first byte.
func sendWith(t testing.TB, conn net.Conn, text string, fds ...int) {
	t.Helper()
	if _, _, err := conn.(*net.UnixConn).WriteMsgUnix([]byte(text), unix.UnixRights(fds...), nil); err != nil {
		t.Fatal(err)
	}
}

const announcedPush = "PUT /v1/database?path=database HTTP/1.1\r\nHost: hotswap\r\n" +
	"Hotswap-Descriptor: source\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"

const announcedPull = "GET /v1/snapshot?path=database HTTP/1.1\r\nHost: hotswap\r\nHotswap-Descriptor: destination\r\n\r\n"

// isOpen reports whether any thread of this process has a file open under name,
// be it in a table of its own.
func isOpen(t testing.TB, name string) bool {
	t.Helper()
	links, err := filepath.Glob("/proc/self/task/*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(links, func(link string) bool {
		target, err := os.Readlink(link)
		return err == nil && target == name
	})
}

// pass opens a file, sends its descriptor with text, and closes its own.
func pass(t testing.TB, conn net.Conn, text, name string, flags int) {
	t.Helper()
	file := openFile(t, name, flags)
	sendWith(t, conn, text, int(file.Fd()))
	file.Close()
}

func openFile(t testing.TB, path string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFileIsPushedThroughItsDescriptor(t *testing.T) {
	dir := shortDir(t)
	live := openDatabase(t, dir+"/db", 1)
	makeDatabase(t, dir+"/new", 1000)
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, func(a *api) {
		a.push = func(ctx context.Context, db *driver.Database, src io.Reader, opts swapper.PushOptions) (swapper.Report, error) {
			if _, ok := src.(transfer.FileSource); !ok {
				t.Errorf("the swapper got a %T", src)
			}
			return swapper.Push(ctx, db, src, opts)
		}
	})
	file := openFile(t, dir+"/new", os.O_RDONLY)
	report, err := newTestClient(t, s).Push(t.Context(), TheDatabase, file, PushParams{Digest: true})
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	if want := digestOf(string(content)); !report.Swapped || report.Bytes != int64(len(content)) || mustDigest(t, report.SHA256) != want {
		t.Errorf("got %+v, want %d bytes of digest %s", report, len(content), want)
	}
	if n := rowsIn(t, live); n != 1000 {
		t.Errorf("%d rows are live", n)
	}
	if at, _ := file.Seek(0, io.SeekCurrent); at != 0 {
		t.Errorf("%d bytes of the file were read", at)
	}
}

func mustDigest(t testing.TB, sum string) string {
	t.Helper()
	field, err := formatHexDigest(sum)
	if err != nil {
		t.Fatal(err)
	}
	return field
}

func TestFileIsFilledThroughItsDescriptor(t *testing.T) {
	for _, digest := range []bool{false, true} {
		dir := shortDir(t)
		openDatabase(t, dir+"/db", 1000)
		s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
		file := openFile(t, dir+"/copy", os.O_WRONLY|os.O_CREATE)
		var size int64
		report, err := newTestClient(t, s).Snapshot(t.Context(), TheDatabase, file,
			SnapshotParams{Begin: func(n int64) { size = n }, Digest: digest})
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(dir + "/copy")
		if err != nil {
			t.Fatal(err)
		}
		if report.Bytes != int64(len(content)) || size != report.Bytes || size == 0 {
			t.Errorf("got %+v, announced %d, written %d", report, size, len(content))
		}
		if digest && mustDigest(t, report.SHA256) != digestOf(string(content)) || !digest && report.SHA256 != "" {
			t.Errorf("asked for a digest: %v, got %q", digest, report.SHA256)
		}
		if at, _ := file.Seek(0, io.SeekCurrent); at != size {
			t.Errorf("the file's offset is %d", at)
		}
		if n := rowsIn(t, reopen(t, dir+"/copy")); n != 1000 {
			t.Errorf("the copy has %d rows", n)
		}
	}
}

func TestFileThatIsNotAtItsBeginningIsRead(t *testing.T) {
	dir := shortDir(t)
	writeFile(t, dir+"/file", "0123456789")
	s, seen := bodyServer(t, Config{})
	file := openFile(t, dir+"/file", os.O_RDONLY)
	if _, err := file.Seek(5, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := newTestClient(t, s).Push(t.Context(), TheDatabase, file, PushParams{}); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; string(got.body) != "56789" {
		t.Errorf("the swapper got %q", got.body)
	}
}

// answerByBody answers as a server that knows no descriptors: a push with what it got, and
// a pull with a body.
func answerByBody(t testing.TB, w http.ResponseWriter, r *http.Request, got chan<- string) {
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- string(body)
		io.WriteString(w, "{}")
		return
	}
	w.Header().Set("Trailer", headerDigest)
	io.WriteString(w, "snapshot")
	w.Header().Set(headerDigest, digestOf("snapshot"))
}

func TestOlderServerGetsTheBodyAndSendsOne(t *testing.T) {
	dir := shortDir(t)
	writeFile(t, dir+"/file", "0123456789")
	got := make(chan string, 1)
	c := fakeServer(t, func(w http.ResponseWriter, r *http.Request) { answerByBody(t, w, r, got) })
	if _, err := c.Push(t.Context(), TheDatabase, openFile(t, dir+"/file", os.O_RDONLY), PushParams{}); err != nil {
		t.Fatal(err)
	}
	if body := <-got; body != "0123456789" {
		t.Errorf("the older server got %q", body)
	}
	if _, err := c.Snapshot(t.Context(), TheDatabase, openFile(t, dir+"/copy", os.O_WRONLY|os.O_CREATE), SnapshotParams{}); err != nil {
		t.Fatal(err)
	}
	if content, _ := os.ReadFile(dir + "/copy"); string(content) != "snapshot" {
		t.Errorf("the older server's snapshot is %q", content)
	}
}

func TestAnnouncedDescriptorThatDidNotComeIsABody(t *testing.T) {
	s, seen := bodyServer(t, Config{})
	conn := dial(t, s.SocketPath())
	fmt.Fprint(conn, announcedPush+chunk("0123456789")+"0\r\n\r\n")
	if got := <-seen; got.err != nil || string(got.body) != "0123456789" {
		t.Fatalf("the swapper got %q, %v", got.body, got.err)
	}
}

func TestDescriptorIsItsOwnRequestsAlone(t *testing.T) {
	dir := shortDir(t)
	makeDatabase(t, dir+"/new", 10)
	s, seen := bodyServer(t, Config{})
	conn := dial(t, s.SocketPath())
	// It comes with a request that does not speak of it; and with a later one.
	pass(t, conn, "GET /v1/version HTTP/1.1\r\nHost: hotswap\r\n\r\n", dir+"/new", os.O_RDONLY)
	assertProblem(t, answerOf(t, conn), ProblemDescriptor)
	pass(t, conn, announcedPush+chunk("01")+"0\r\n\r\n", dir+"/new", os.O_RDONLY)
	if got := <-seen; string(got.body) != "01" {
		t.Fatalf("the second request got %q, not its own body", got.body)
	}
	testenv.Until(t, "the descriptors are closed", func() bool { return !isOpen(t, dir+"/new") })
}

func TestDescriptorThatNoRequestTookIsClosed(t *testing.T) {
	dir := shortDir(t)
	writeFile(t, dir+"/file", "x")
	s := startServer(t, dir, Config{}, nil)
	conn := dial(t, s.SocketPath())
	pass(t, conn, "PUT /v1/data", dir+"/file", os.O_RDONLY)
	testenv.Until(t, "it has arrived", func() bool { return isOpen(t, dir+"/file") })
	conn.Close()
	testenv.Until(t, "it is closed", func() bool { return !isOpen(t, dir+"/file") })
}
