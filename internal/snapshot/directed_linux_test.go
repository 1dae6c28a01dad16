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
