package sockserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/testenv"
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
			if _, ok := src.(swapper.FileSource); !ok {
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

func TestOlderServerGetsTheBodyAndSendsOne(t *testing.T) {
	dir := shortDir(t)
	writeFile(t, dir+"/file", "0123456789")
	got := make(chan string, 1)
	c := fakeServer(t, func(w http.ResponseWriter, r *http.Request) {
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
	})
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
	assertProblem(t, answerOf(t, conn), ProblemDescriptor, exitFailed)
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

// descriptorZoo opens what is no regular file to read, or to write, and says
// what the refusal is about.
var descriptorZoo = []struct {
	name, request string
	open          func(t testing.TB, dir string) []int
	words         string
}{
	{"directory", announcedPush, opening(".", unix.O_RDONLY|unix.O_DIRECTORY), "of a directory"},
	{"pipe", announcedPush, func(t testing.TB, _ string) []int {
		var ends [2]int
		must(t, unix.Pipe2(ends[:], unix.O_CLOEXEC))
		unix.Close(ends[1])
		return ends[:1]
	}, "of a pipe"},
	{"socket", announcedPush, func(t testing.TB, _ string) []int {
		ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		unix.Close(ends[1])
		return ends[:1]
	}, "of a socket"},
	{"device", announcedPush, opening("/dev/zero", unix.O_RDWR), "of a device"},
	{"event", announcedPush, func(t testing.TB, _ string) []int {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		must(t, err)
		return []int{fd}
	}, "of something without a type"},
	{"path", announcedPush, opening("file", unix.O_PATH), "O_PATH"},
	{"write-only source", announcedPush, opening("file", unix.O_WRONLY), "open for writing only"},
	{"read-only destination", announcedPull, opening("file", unix.O_RDONLY), "open for reading only"},
	{"appending destination", announcedPull, opening("file", unix.O_WRONLY|unix.O_APPEND), "open for appending"},
	{"past the page cache", announcedPush, opening("file", unix.O_RDONLY|unix.O_DIRECT), "O_DIRECT"},
	{"two", announcedPush, opening("file", unix.O_RDONLY, unix.O_RDONLY), "more than one"},
	{"two hundred", announcedPush, opening("file", make([]int, 200)...), "more than one"},
	{"live source", announcedPush, opening("db", unix.O_RDONLY), "a live database"},
	{"live destination", announcedPull, opening("db", unix.O_RDWR), "a live database"},
	{"another verb's", strings.Replace(announcedPull, "destination", "source", 1), opening("file", unix.O_RDWR), `"source" is not "destination"`},
	{"unannounced", strings.Replace(announcedPull, "Hotswap-Descriptor", "Hotswap-Other", 1), opening("file", unix.O_RDWR), "no Hotswap-Descriptor header"},
	{"of a list", "GET /v1/databases HTTP/1.1\r\nHost: hotswap\r\nHotswap-Descriptor: source\r\n\r\n", opening("file", unix.O_RDWR), "takes no descriptor"},
	{"empty", announcedPush, opening("empty", unix.O_RDONLY), "is empty"},
	{"no database", announcedPush, opening("file", unix.O_RDONLY), "not an SQLite database"},
	{"made up as it is read", announcedPush, opening("/proc/self/status", unix.O_RDONLY), "is empty"},
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func closeLater(t testing.TB, fd int) { t.Cleanup(func() { unix.Close(fd) }) }

// opening opens a file of the zoo's once for each of flags.
func opening(name string, flags ...int) func(testing.TB, string) []int {
	return func(t testing.TB, dir string) (fds []int) {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		for _, flag := range flags {
			fd, err := unix.Open(path, flag|unix.O_CLOEXEC, 0)
			must(t, err)
			fds = append(fds, fd)
		}
		return fds
	}
}

func openZoo(t testing.TB) (dir string, live *sql.DB) {
	dir = shortDir(t)
	live = openDatabase(t, dir+"/db", 100)
	writeFile(t, dir+"/empty", "")
	writeFile(t, dir+"/file", strings.Repeat("no database ", 1000))
	return dir, live
}

func TestDescriptorThatCantBeUsedIsRefusedInWordsAndClosed(t *testing.T) {
	for _, test := range descriptorZoo {
		t.Run(test.name, func(t *testing.T) {
			dir, live := openZoo(t)
			s := startServer(t, dir, Config{}, nil)
			before := countDescriptors(t)
			for range 20 {
				conn := dial(t, s.SocketPath())
				fds := test.open(t, dir)
				sendWith(t, conn, test.request, fds...)
				for _, fd := range fds {
					unix.Close(fd)
				}
				var p *Problem
				if err := answerOf(t, conn); !errors.As(err, &p) || !strings.Contains(p.Detail, test.words) {
					t.Fatalf("got %v, want a problem about %q", err, test.words)
				}
				conn.Close()
			}
			if n := rowsIn(t, live); n != 100 {
				t.Errorf("%d rows are live", n)
			}
			if content, _ := os.ReadFile(dir + "/file"); len(content) != 12_000 {
				t.Errorf("the client's file has %d bytes now", len(content))
			}
			for _, name := range []string{dir + "/file", dir + "/empty"} {
				testenv.Until(t, name+" is closed", func() bool { return !isOpen(t, name) })
			}
			testenv.Until(t, "as many descriptors are open as before", func() bool { return countDescriptors(t) <= before })
		})
	}
}

func countDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}

// To receive a descriptor means to close it, and that would drop every lock
// which this process has on the file, were it one of its own table.
func TestLocksOutliveADescriptorOfTheirFile(t *testing.T) {
	if _, err := exec.LookPath("sqlite3"); err != nil {
		testenv.Skip(t, "another process has to try the lock: %v", err)
	}
	dir := shortDir(t)
	makeDatabase(t, dir+"/other", 10)
	s, _ := bodyServer(t, Config{})
	other, err := reopen(t, dir+"/other").Conn(t.Context())
	must(t, err)
	defer other.Close()
	_, err = other.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	must(t, err)
	locked := func() bool {
		out, err := exec.Command("sqlite3", dir+"/other", "BEGIN IMMEDIATE").CombinedOutput()
		return err != nil && strings.Contains(string(out), "locked")
	}
	if !locked() {
		t.Fatal("the lock is not there")
	}
	for _, request := range []string{announcedPush, announcedPull, "GET /v1/version HTTP/1.1\r\nHost: hotswap\r\n\r\n"} {
		conn := dial(t, s.SocketPath())
		fd, err := unix.Open(dir+"/other", unix.O_RDONLY, 0)
		must(t, err)
		closeLater(t, fd) // not before the lock's end: it is of this process, too
		sendWith(t, conn, request, fd)
		answerOf(t, conn)
		conn.Close()
		if !locked() {
			t.Fatalf("the lock is gone after %q", request)
		}
	}
}

func TestFileThatChangesWhileItIsCopiedIsRefused(t *testing.T) {
	for name, change := range map[string]struct {
		to   func(*os.File) error
		want error
	}{
		"shorter":       {func(f *os.File) error { return f.Truncate(4096) }, swapper.ErrBadDatabase},
		"longer":        {func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 1<<20); return err }, swapper.ErrBusy},
		"of its length": {func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 4096); return err }, swapper.ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			live := openDatabase(t, dir+"/db", 1)
			makeDatabase(t, dir+"/new", 1000)
			var pushed error
			s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, func(a *api) {
				a.push = func(ctx context.Context, db *driver.Database, src io.Reader, opts swapper.PushOptions) (report swapper.Report, err error) {
					report, pushed = swapper.Push(ctx, db, changing{src.(swapper.FileSource), func() {
						must(t, change.to(openFile(t, dir+"/new", os.O_RDWR)))
					}}, opts)
					return report, pushed
				}
			})
			_, err := newTestClient(t, s).Push(t.Context(), TheDatabase, openFile(t, dir+"/new", os.O_RDONLY), PushParams{})
			var p *Problem
			if !errors.As(err, &p) || !errors.Is(pushed, change.want) {
				t.Fatalf("got %v, of %v", err, pushed)
			}
			if n := rowsIn(t, live); n != 1 {
				t.Errorf("%d rows are live", n)
			}
		})
	}
}

// changing is a source that changes between two pieces of copying.
type changing struct {
	swapper.FileSource
	change func()
}

func (c changing) CloneTo(context.Context, *os.File) (bool, error) { return false, nil }

func (c changing) CopyTo(ctx context.Context, dst *os.File, off, n int64) (int64, error) {
	if off == 0 {
		done, err := c.FileSource.CopyTo(ctx, dst, 0, 4096)
		c.change()
		return done, err
	}
	return c.FileSource.CopyTo(ctx, dst, off, n)
}

func TestClientThatLeavesEndsThePushOfItsDescriptor(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 1)
	writeFile(t, dir+"/new", "x")
	entered, ended := make(chan struct{}), make(chan error, 1)
	s := startServer(t, dir, Config{}, func(a *api) {
		a.push = func(ctx context.Context, _ *driver.Database, _ io.Reader, _ swapper.PushOptions) (swapper.Report, error) {
			close(entered)
			<-ctx.Done()
			ended <- ctx.Err()
			return swapper.Report{}, ctx.Err()
		}
	})
	conn := dial(t, s.SocketPath())
	pass(t, conn, announcedPush, dir+"/new", os.O_RDONLY)
	<-entered
	conn.Close()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	testenv.Until(t, "the descriptor is closed", func() bool { return !isOpen(t, dir+"/new") })
}

func TestPushByDescriptorThatBreaksOffHasAnUnknownOutcome(t *testing.T) {
	dir := shortDir(t)
	writeFile(t, dir+"/new", "x")
	c := fakeServer(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	})
	_, err := c.Push(t.Context(), TheDatabase, openFile(t, dir+"/new", os.O_RDONLY), PushParams{})
	if !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, ErrConnectionLost) {
		t.Errorf("got %v", err)
	}
}

// Where a file system can share blocks, nothing is copied.
func TestCloneSharesTheBlocksWhereItCan(t *testing.T) {
	if os.Getuid() != 0 {
		testenv.Skip(t, "only root can mount")
	}
	if _, err := exec.LookPath("mkfs.xfs"); err != nil {
		testenv.Skip(t, "no file system to make: %v", err)
	}
	base := shortDir(t)
	dir := base + "/xfs"
	for _, command := range [][]string{
		{"truncate", "-s", "400M", base + "/image"},
		{"mkfs.xfs", "-q", base + "/image"},
		{"mkdir", dir},
		{"mount", "-o", "loop", base + "/image", dir},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			testenv.Skip(t, "%v: %s", err, out)
		}
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	live := openDatabase(t, dir+"/db", 1)
	makeDatabase(t, dir+"/new", 1000)
	var cloned []bool
	s := startServer(t, base, Config{DatabasePaths: []string{dir + "/db"}}, func(a *api) {
		a.push = func(ctx context.Context, db *driver.Database, src io.Reader, opts swapper.PushOptions) (swapper.Report, error) {
			return swapper.Push(ctx, db, noting{src.(swapper.FileSource), &cloned}, opts)
		}
	})
	c := newTestClient(t, s)
	if _, err := c.Push(t.Context(), TheDatabase, openFile(t, dir+"/new", os.O_RDONLY), PushParams{}); err != nil {
		t.Fatal(err)
	}
	if n := rowsIn(t, live); n != 1000 || !slices.Equal(cloned, []bool{true}) {
		t.Errorf("%d rows are live, cloned: %v", n, cloned)
	}
	file := openFile(t, dir+"/copy", os.O_RDWR|os.O_CREATE)
	if _, err := c.Snapshot(t.Context(), TheDatabase, file, SnapshotParams{}); err != nil {
		t.Fatal(err)
	}
	if n := rowsIn(t, reopen(t, dir+"/copy")); n != 1000 {
		t.Errorf("the copy has %d rows", n)
	}
}

// noting notes whether the source could be cloned.
type noting struct {
	swapper.FileSource
	cloned *[]bool
}

func (n noting) CloneTo(ctx context.Context, dst *os.File) (bool, error) {
	ok, err := n.FileSource.CloneTo(ctx, dst)
	*n.cloned = append(*n.cloned, ok)
	return ok, err
}
