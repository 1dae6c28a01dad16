package swapper_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/swapper"
)

// utf16 is a source like those of makeDatabase, in another text encoding.
func utf16(t testing.TB) []byte {
	t.Helper()
	return edited(t, "", "PRAGMA encoding='UTF-16le'")
}

// edited is a source with something done before its tables are made and after.
func edited(t testing.TB, after string, before ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "new.sqlite3")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range append(before,
		"CREATE TABLE items (id INTEGER PRIMARY KEY, stamp TEXT NOT NULL, filler BLOB)",
		"CREATE INDEX items_stamp ON items (stamp, id)",
		"INSERT INTO items (stamp) VALUES ('new')", after) {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wants is a hook that looks for a user_version.
func wants(version int64) driver.Option {
	return driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		rows, err := c.Query("PRAGMA user_version", nil)
		if err != nil {
			return err
		}
		defer rows.Close()
		values := make([]sqldriver.Value, 1)
		if err := rows.Next(values); err != nil {
			return err
		}
		if values[0] != version {
			return errors.New("this program is for another user_version")
		}
		return nil
	})
}

// TestAPushAfterWhichTheProgramCouldNotConnectIsRefused, before any call waits, on a
// dry run too, and with the program's own error.
func TestAPushAfterWhichTheProgramCouldNotConnectIsRefused(t *testing.T) {
	t.Parallel()
	sideFile := side(t)
	for name, c := range map[string]struct {
		opts   []driver.Option
		params string
		tell   func(s *service, conn *sql.Conn)
		data   func() []byte
		says   []string
	}{
		"UTF-16, and ATTACH by text": {
			tell: func(s *service, conn *sql.Conn) { s.tell(conn, "ATTACH ? AS side", sideFile) },
			data: func() []byte { return utf16(t) },
			says: []string{"ATTACH " + sideFile + " AS side", "attached databases must use the same text encoding"},
		},
		"UTF-16, and ATTACH by a hook": {
			opts: []driver.Option{attaching(sideFile)},
			data: func() []byte { return utf16(t) },
			says: []string{"the connect hook", "attached databases must use the same text encoding"},
		},
		"a hook that wants what the new one lacks": {
			opts: []driver.Option{wants(0)},
			data: func() []byte { return edited(t, "PRAGMA user_version=9") },
			says: []string{"the connect hook", "another user_version"},
		},
		"a hook that writes, and wants what the new one lacks": {
			opts: []driver.Option{driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
				_, err := c.Exec("UPDATE items SET extra = extra", nil)
				if err != nil && strings.Contains(err.Error(), "no such column: extra") {
					_, err = c.Exec("INSERT INTO items (id, stamp) VALUES (1000, 'live')ON CONFLICT DO NOTHING", nil)
				}
				return err
			})},
			data: func() []byte {
				return edited(t, "CREATE TRIGGER t BEFORE INSERT ON items BEGIN SELECT RAISE(ABORT, 'not with me'); END")
			},
			says: []string{"the connect hook", "not with me"},
		},
		"an attached file that is gone": {
			tell: func(s *service, conn *sql.Conn) {
				gone := filepath.Join(s.t.TempDir(), "gone.sqlite3")
				s.tell(conn, "ATTACH ? AS side", gone)
				if err := os.Remove(gone); err != nil {
					s.t.Fatal(err)
				}
			},
			data: func() []byte { return source(t, "new") },
			says: []string{"ATTACH ", "gone.sqlite3 AS side", "no such file"},
		},
		"a pragma of what Raw attached": {
			tell: func(s *service, conn *sql.Conn) {
				if err := driver.Raw(conn, func(c *sqlite3.SQLiteConn) error {
					_, err := c.Exec("ATTACH ':memory:' AS raw", nil)
					return err
				}); err != nil {
					s.t.Fatal(err)
				}
				s.tell(conn, "PRAGMA raw.cache_size = 5")
			},
			data: func() []byte { return source(t, "new") },
			says: []string{"PRAGMA raw.cache_size = 5", "unknown database raw"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := startWith(t, c.params, c.opts...)
			conn, err := s.pool.Conn(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if c.tell != nil {
				c.tell(s, conn)
			}
			data := c.data()
			for _, opts := range []swapper.PushOptions{{DryRun: true}, {}, {Method: swapper.MethodInPlace}} {
				opts.SkipSchemaCheck = true
				_, err := s.push(data, opts)
				if !errors.Is(err, swapper.ErrBadDatabase) {
					t.Fatalf("%+v: %v", opts, err)
				}
				for _, text := range append(c.says, "--skip-rehearsal", "unchanged") {
					if opts.Method != swapper.MethodInPlace && !strings.Contains(err.Error(), text) {
						t.Errorf("it does not say %q: %v", text, err)
					}
				}
			}
			if d := s.db.Stats(); d.Swaps != 0 || d.LongestPause != 0 {
				t.Errorf("%+v", d)
			}
			var stamp string
			if err := conn.QueryRowContext(context.Background(), "SELECT DISTINCT stamp FROM items").Scan(&stamp); err != nil || stamp != "live" {
				t.Errorf("%s, %v", stamp, err)
			}
			s.onlyFiles("live.sqlite3")
		})
	}
}

func (s *service) tell(conn *sql.Conn, query string, args ...any) {
	s.t.Helper()
	if _, err := conn.ExecContext(context.Background(), query, args...); err != nil {
		s.t.Fatal(err)
	}
}

// TestAnAttacherOfAnotherDatabaseIsNotLockedOut by a text encoding that it can't attach.
func TestAnAttacherOfAnotherDatabaseIsNotLockedOut(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	main := side(t)
	other := s.attach(main)
	_, err := s.push(utf16(t), swapper.PushOptions{SkipSchemaCheck: true})
	if !errors.Is(err, swapper.ErrBadDatabase) || !strings.Contains(err.Error(), main) || !strings.Contains(err.Error(), "UTF-16le") {
		t.Errorf("%v", err)
	}
	if got := attached(t, other); got != "live" {
		t.Error(got)
	}
}
