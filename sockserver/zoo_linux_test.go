package sockserver

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
)

// descriptorZoo opens what is no regular file to read, or to write, and says
// what the refusal is about.
var descriptorZoo = []struct {
	name, request string
	open          func(t testing.TB, dir string) []int
	words         string
}{
	{"directory", announcedPush, opening(".", unix.O_RDONLY|unix.O_DIRECTORY), "of a directory"},
	{"pipe that has ended", announcedPush, openingPipe(0, 0), "the source is empty"},
	{"end of a pipe to write to", announcedPush, openingPipe(1, 0), "open for writing only"},
	{"end of a pipe to read from", announcedPull, openingPipe(0, 0), "open for reading only"},
	{"pipe of packets", announcedPull, openingPipe(1, unix.O_DIRECT), "of a pipe of packets"},
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
	{"live destination's WAL", announcedPull, opening("db-wal", unix.O_RDWR), "db-wal, which belongs to a live database"},
	{"destination that is open unmanaged", announcedPull, opening("raw", unix.O_RDWR), "raw, a live database"},
	{"another verb's", strings.Replace(announcedPull, "destination", "source", 1), opening("file", unix.O_RDWR), `"source" is not "destination"`},
	{"unannounced", strings.Replace(announcedPull, "Hotswap-Descriptor", "Hotswap-Other", 1), opening("file", unix.O_RDWR), "no Hotswap-Descriptor header"},
	{"of a list", "GET /v1/databases HTTP/1.1\r\nHost: hotswap\r\nHotswap-Descriptor: source\r\n\r\n", opening("file", unix.O_RDWR), "takes no descriptor"},
	{"empty", announcedPush, opening("empty", unix.O_RDONLY), "is empty"},
	{"no database", announcedPush, opening("file", unix.O_RDONLY), "not an SQLite database"},
	{"made up as it is read", announcedPush, opening("/proc/self/status", unix.O_RDONLY), "is empty"},
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

// openingPipe opens one end of a pipe, whose other end is closed.
func openingPipe(end, flags int) func(testing.TB, string) []int {
	return func(t testing.TB, _ string) []int {
		var ends [2]int
		must(t, unix.Pipe2(ends[:], unix.O_CLOEXEC|flags))
		unix.Close(ends[1-end])
		return ends[end : end+1]
	}
}

func openZoo(t testing.TB) (dir string, live *sql.DB) {
	dir = shortDir(t)
	live = openDatabase(t, dir+"/db", 100)
	raw, err := sql.Open("sqlite3", dir+"/raw")
	must(t, err)
	t.Cleanup(func() { raw.Close() })
	_, err = raw.Exec("CREATE TABLE t (v)")
	must(t, err)
	writeFile(t, dir+"/empty", "")
	writeFile(t, dir+"/file", strings.Repeat("no database ", 1000))
	return dir, live
}

func TestDescriptorThatCantBeUsedIsRefusedInWordsAndClosed(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
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
