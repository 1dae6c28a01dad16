package snapshot

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/testenv"
)

// pair makes a database and two connections to it: the one that is copied by, and one
// that writes.
func pair(t *testing.T, journal string) (path string, reader, writer *sql.DB) {
	t.Helper()
	path = filepath.Join(memoryDir(t), "live.db")
	writer = open(t, dsn(path, journal))
	mustExec(t, writer, "PRAGMA wal_autocheckpoint=0", "CREATE TABLE a(x)", "CREATE TABLE b(x)",
		"INSERT INTO a VALUES (zeroblob(20000))", "INSERT INTO b VALUES (0)")
	reader = open(t, dsn(path, journal))
	mustExec(t, reader, "PRAGMA wal_autocheckpoint=0", "SELECT 1 FROM a")
	return path, reader, writer
}

// copyOf takes a snapshot by reader, with these hooks, and returns the copy.
func copyOf(t *testing.T, reader *sql.DB, path string, prepare func(*hooks, *sqlite3.SQLiteConn)) (*sql.DB, error) {
	t.Helper()
	ctx := context.Background()
	dst, err := os.Create(filepath.Join(memoryDir(t), "copy.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dst.Close() })
	conn, err := reader.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, q := range []string{"BEGIN", "SELECT * FROM b"} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			t.Fatal(err)
		}
	}
	defer conn.ExecContext(ctx, "ROLLBACK")
	err = conn.Raw(func(raw any) error {
		var h hooks
		if prepare != nil {
			prepare(&h, raw.(*sqlite3.SQLiteConn))
		}
		s, err := of(raw.(*sqlite3.SQLiteConn), path, h)
		if err != nil {
			return err
		}
		return s.CopyTo(ctx, File(dst), func(int64) {})
	})
	if err != nil {
		return nil, err
	}
	return open(t, "file:"+dst.Name()+"?mode=ro&immutable=1"), nil
}

// values are those of b, and whether SQLite finds the database whole.
func values(t *testing.T, db *sql.DB) string {
	t.Helper()
	var found []string
	for _, q := range []string{"SELECT coalesce(group_concat(x), '') FROM b", "PRAGMA integrity_check"} {
		var s string
		if err := db.QueryRow(q).Scan(&s); err != nil {
			return err.Error()
		}
		found = append(found, s)
	}
	return strings.Join(found, " ")
}

func TestACopyWithoutATransactionIsRefused(t *testing.T) {
	path, reader, _ := pair(t, "WAL")
	conn, err := reader.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, begin := range []string{"", "BEGIN"} { // a BEGIN has read nothing yet
		if _, err := conn.ExecContext(t.Context(), begin); err != nil {
			t.Fatal(err)
		}
		err = conn.Raw(func(raw any) error {
			_, err := Of(raw.(*sqlite3.SQLiteConn), path)
			return err
		})
		if !errors.Is(err, errNoTransaction) {
			t.Errorf("after %q: %v", begin, err)
		}
	}
}

// TestALogThatIsStartedOverInTheMidst: what is all in the file is not read from the log.
// A reader of the file alone does not keep that from being started over: with pages of
// the old one, of frames that it has no more, the copy would be of two states.
func TestALogThatIsStartedOverInTheMidst(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*walIndex)
		want   string
	}{
		"as it is":                               {func(*walIndex) {}, "0 ok"},
		"without the look at what is in it":      {func(x *walIndex) { x.backfill = 0 }, ErrUnable.Error()},
		"and without the checks, as it must not": {func(x *walIndex) { x.backfill, x.unchecked = 0, true }, "wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			path, reader, writer := pair(t, "WAL")
			mustExec(t, writer, "PRAGMA wal_checkpoint(PASSIVE)")
			naps := 0
			copied, err := copyOf(t, reader, path, func(h *hooks, _ *sqlite3.SQLiteConn) {
				h.index = test.change
				h.chunk = func() int64 { return 5000 }
				h.nap = func() {
					if naps++; naps == 2 { // not before the wal-index is read
						mustExec(t, writer, "BEGIN; INSERT INTO b VALUES (1); CREATE TABLE c AS SELECT zeroblob(200000); COMMIT")
					}
				}
			})
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = values(t, copied)
			}
			if test.want == "wrong" && (err != nil || got == "0 ok") || test.want != "wrong" && !strings.HasPrefix(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestWhatIsBeyondTheLastCommitIsNotRead: whole frames of a commit whose fsync failed,
// or whose writer died before it had told the others.
func TestWhatIsBeyondTheLastCommitIsNotRead(t *testing.T) {
	for name, test := range map[string]struct {
		readOn bool
		want   string
	}{
		"as it is":                       {false, "0 ok"},
		"read on as recovery reads them": {true, "0,7 ok"},
	} {
		t.Run(name, func(t *testing.T) {
			path, reader, writer := pair(t, "WAL")
			// What a commit writes is taken back, but for the log itself.
			saved, err := os.ReadFile(path + "-shm")
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, writer, "INSERT INTO b VALUES (7)")
			shm, err := os.OpenFile(path+"-shm", os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := shm.WriteAt(saved, 0); err != nil {
				t.Fatal(err)
			}
			// Its close would drop the locks.
			t.Cleanup(func() { shm.Close() })
			copied, err := copyOf(t, reader, path, func(h *hooks, _ *sqlite3.SQLiteConn) {
				if test.readOn {
					h.index = func(x *walIndex) { x.readOn(path + "-wal") }
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := values(t, copied); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestALogThatIsNotOfItsIndexIsNotRead: whatever is wrong with it.
func TestALogThatIsNotOfItsIndexIsNotRead(t *testing.T) {
	for name, spoil := range map[string]func(wal []byte) []byte{
		"a bit of a page":     func(b []byte) []byte { b[len(b)-100] ^= 1; return b },
		"a bit of a salt":     func(b []byte) []byte { b[walHeaderSize+9] ^= 1; return b },
		"a bit of the header": func(b []byte) []byte { b[17] ^= 1; return b },
		// No frame's checksum depends on this one: only a look at the header itself sees it.
		"a bit of the header's checksum": func(b []byte) []byte { b[walHeaderSize-1] ^= 1; return b },
		// Whole in itself, but for what the wal-index knows of its end.
		"other content, summed anew": resum,
		"another byte order":         func(b []byte) []byte { b[3] ^= 1; return b },
		"no page number":             func(b []byte) []byte { clear(b[walHeaderSize : walHeaderSize+4]); return b },
		"the last bytes":             func(b []byte) []byte { return b[:len(b)-1] },
		"all":                        func(b []byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			path, reader, _ := pair(t, "WAL")
			whole, err := os.ReadFile(path + "-wal")
			if err != nil {
				t.Fatal(err)
			}
			write := func(b []byte) {
				if err := os.WriteFile(path+"-wal", b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err = copyOf(t, reader, path, func(h *hooks, _ *sqlite3.SQLiteConn) {
				h.index = func(*walIndex) { write(spoil(append([]byte(nil), whole...))) }
			})
			write(whole)
			if !errors.Is(err, ErrUnable) {
				t.Error(err)
			}
			copied, err := copyOf(t, reader, path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := values(t, copied); got != "0 ok" {
				t.Error(got)
			}
		})
	}
}

// resum changes the last page of a log, and makes its frame's checksum fit.
func resum(b []byte) []byte {
	const frame = frameHeaderSize + 4096
	x := walIndex{pageSize: 4096, bigEndian: b[3] == walMagicBig&0xff}
	last := b[len(b)-frame:]
	last[frame-100] ^= 1
	before := b[len(b)-2*frame:]
	sum := [2]uint32{binary.BigEndian.Uint32(before[16:]), binary.BigEndian.Uint32(before[20:])}
	x.add(&sum, last[:8])
	x.add(&sum, last[frameHeaderSize:])
	binary.BigEndian.PutUint32(last[16:], sum[0])
	binary.BigEndian.PutUint32(last[20:], sum[1])
	return b
}

// TestALogThatEndsElsewhereIsNotRead: fewer frames than are committed, or more pages.
func TestALogThatEndsElsewhereIsNotRead(t *testing.T) {
	for name, change := range map[string]func(*walIndex){
		"a frame less":     func(x *walIndex) { x.mxFrame-- },
		"another checksum": func(x *walIndex) { x.checksum[1]++ },
		"a page more":      func(x *walIndex) { x.pages++ },
		"another salt":     func(x *walIndex) { x.salt[7]++ },
		"larger pages":     func(x *walIndex) { x.pageSize *= 2 },
		"more in the file": func(x *walIndex) { x.backfill = x.mxFrame + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			path, reader, _ := pair(t, "WAL")
			_, err := copyOf(t, reader, path, func(h *hooks, _ *sqlite3.SQLiteConn) { h.index = change })
			if !errors.Is(err, ErrUnable) {
				t.Error(err)
			}
		})
	}
}

func TestAWALIndexThatIsBeingWrittenIsNotTaken(t *testing.T) {
	path, _, _ := pair(t, "WAL")
	b, err := os.ReadFile(path + "-shm")
	if err != nil {
		t.Fatal(err)
	}
	whole := walIndexHead(b)
	x, ok := parseWALIndex(whole)
	if !ok || x.mxFrame == 0 || x.pages == 0 || x.pageSize != 4096 || x.backfill != 0 {
		t.Fatalf("%+v, %v", x, ok)
	}
	for i := range 2 * indexHeader {
		torn := whole
		torn[i]++
		if _, ok := parseWALIndex(torn); ok {
			t.Errorf("with another byte %d it is taken", i)
		}
		if i < indexHeader {
			torn[i+indexHeader]++
			if _, ok := parseWALIndex(torn); ok {
				t.Errorf("with another byte %d in both, it is taken", i)
			}
		}
	}
}

// TestAFileThatIsMoved before the snapshot is none that is meant; and in the midst of
// it, it is still the one that SQLite reads.
func TestAFileThatIsMoved(t *testing.T) {
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			path, reader, _ := pair(t, journal)
			other := filepath.Join(filepath.Dir(path), "other.db")
			mustExec(t, open(t, dsn(other, "DELETE")), "CREATE TABLE b(x)", "INSERT INTO b VALUES (99)")
			move := func(from, to string) {
				if err := os.Rename(from, to); err != nil {
					t.Fatal(err)
				}
			}
			moved := false
			copied, err := copyOf(t, reader, path, func(h *hooks, _ *sqlite3.SQLiteConn) {
				h.nap = func() {
					if !moved {
						moved = true
						move(path, path+".away")
						move(other, path)
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := values(t, copied); got != "0 ok" {
				t.Error(got)
			}
			if _, err := copyOf(t, reader, path, nil); !errors.Is(err, ErrUnable) {
				t.Errorf("moved away: %v", err)
			}
			move(path+".away", path)
		})
	}
}

func TestAnEmptyDatabaseIsNotCopied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty.db")
	db := open(t, path)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, q := range []string{"BEGIN", "SELECT count(*) FROM sqlite_schema"} {
		if _, err := conn.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	err = conn.Raw(func(raw any) error {
		_, err := Of(raw.(*sqlite3.SQLiteConn), path)
		return err
	})
	if !errors.Is(err, ErrUnable) {
		t.Error(err)
	}
}

// TestADatabaseOfMoreThanAGigabyte has a page in its midst that SQLite never uses, as
// its locks are there. The file is sparse: its pages are free ones.
func TestADatabaseOfMoreThanAGigabyte(t *testing.T) {
	if testenv.Sample(0, 1) == 0 && *snapshots == 0 {
		testenv.Skip(t, "an ordinary run leaves the copy of a gigabyte out")
	}
	const pageSize, lockPage, pages = 65536, 1<<30/65536 + 1, 1<<30/65536 + 40
	path := filepath.Join(memoryDir(t), "live.db")
	db := open(t, path)
	mustExec(t, db, fmt.Sprint("PRAGMA page_size=", pageSize), "CREATE TABLE b(x)", "CREATE TABLE c(x)")
	db.Close()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Pages 4 and 5 list the others as free, the highest ones first to be taken.
	var lists [2][]byte
	for i := range lists {
		lists[i] = make([]byte, 8, pageSize)
	}
	free := uint32(len(lists))
	for page := uint32(pages); page > 5; page-- {
		if page != lockPage {
			list := &lists[free/10000%2]
			*list = binary.BigEndian.AppendUint32(*list, page)
			free++
		}
	}
	binary.BigEndian.PutUint32(lists[0], 5)
	for _, l := range lists {
		binary.BigEndian.PutUint32(l[4:], uint32(len(l)-8)/4)
	}
	var head []byte
	for _, v := range []uint32{pages, 4, free} {
		head = binary.BigEndian.AppendUint32(head, v)
	}
	for off, b := range map[int64][]byte{28: head, 3 * pageSize: lists[0], 4 * pageSize: lists[1]} {
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(pages * pageSize); err != nil {
		t.Fatal(err)
	}
	f.Close()
	writer, reader := open(t, dsn(path, "WAL")), open(t, dsn(path, "WAL"))
	mustExec(t, writer, "PRAGMA wal_autocheckpoint=0", "INSERT INTO c VALUES (zeroblob(3000000))", "PRAGMA wal_checkpoint(TRUNCATE)",
		"INSERT INTO b VALUES (5)", "INSERT INTO c VALUES (randomblob(3000000))")
	mustExec(t, reader, "SELECT 1 FROM b")
	copied, err := copyOf(t, reader, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := values(t, copied); got != "5 ok" {
		t.Error(got)
	}
	for _, q := range []string{"SELECT sum(length(x)) || hex(substr(x, -9)) FROM c WHERE rowid = 2"} {
		var want, got string
		if err := errors.Join(writer.QueryRow(q).Scan(&want), copied.QueryRow(q).Scan(&got)); err != nil || got != want {
			t.Errorf("%q, not %q: %v", got, want, err)
		}
	}
}
