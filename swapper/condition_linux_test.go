package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/internal/statetag"
	"hotswap/swapper"
)

// tag pulls the database, and returns the copy and its tag.
func (s *service) tag() ([]byte, string) {
	s.t.Helper()
	var copied bytes.Buffer
	report, err := swapper.Pull(context.Background(), s.db, &copied, swapper.PullOptions{Tag: true})
	if err != nil || !statetag.Valid(report.Tag) {
		s.t.Fatalf("tag %q, %v", report.Tag, err)
	}
	return copied.Bytes(), report.Tag
}

// reopen closes the pool, and opens another one.
func (s *service) reopen(params string) {
	s.t.Helper()
	s.pool.Close()
	var err error
	if s.pool, err = sql.Open(driver.Name, "file:"+s.path+"?"+params); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { s.pool.Close() })
	if err := s.pool.Ping(); err != nil {
		s.t.Fatal(err)
	}
	s.db, _ = driver.Lookup(s.path)
}

func TestATagNamesTheContent(t *testing.T) {
	t.Parallel()
	const spill = "INSERT INTO items (stamp, filler) SELECT 'gone', randomblob(900) FROM items, items LIMIT 3000"
	rolledBack := func(s *service) {
		tx := s.openTx("PRAGMA cache_size=10")
		for _, q := range []string{spill, "UPDATE items SET stamp = 'other'"} {
			if _, err := tx.Exec(q); err != nil {
				s.t.Fatal(err)
			}
		}
		if err := tx.Rollback(); err != nil {
			s.t.Fatal(err)
		}
	}
	same := map[string]func(*service){
		"nothing":               func(*service) {},
		"a rollback":            rolledBack,
		"a checkpoint":          func(s *service) { s.exec("PRAGMA wal_checkpoint(TRUNCATE)") },
		"a passive checkpoint":  func(s *service) { s.exec("PRAGMA wal_checkpoint(PASSIVE)") },
		"a restart":             func(s *service) { s.reopen("_journal=WAL") },
		"another mode":          func(s *service) { s.reopen("_journal=DELETE") },
		"an update to the same": func(s *service) { s.exec("UPDATE items SET stamp = stamp WHERE id < 3") },
		"a push of the pull":    func(s *service) { copied, _ := s.tag(); s.mustPush(copied, swapper.PushOptions{}) },
		"the same push in place": func(s *service) {
			copied, _ := s.tag()
			s.mustPush(copied, swapper.PushOptions{Method: swapper.MethodInPlace})
		},
	}
	other := map[string]func(*service){
		"an insert":                      func(s *service) { s.exec("INSERT INTO items (stamp) VALUES ('new')") },
		"a table":                        func(s *service) { s.exec("CREATE TABLE more (x)") },
		"a user_version":                 func(s *service) { s.exec("PRAGMA user_version = 7") },
		"an insert that is checkpointed": func(s *service) { s.exec("INSERT INTO items (stamp) VALUES ('new'); PRAGMA wal_checkpoint(TRUNCATE)") },
		"a push":                         func(s *service) { s.mustPush(source(s.t, "new"), swapper.PushOptions{}) },
		"another's insert": func(s *service) {
			plain, err := sql.Open("sqlite3", s.path)
			if err != nil {
				s.t.Fatal(err)
			}
			defer plain.Close()
			if _, err := plain.Exec("INSERT INTO items (stamp) VALUES ('stranger')"); err != nil {
				s.t.Fatal(err)
			}
		},
	}
	for _, mode := range []string{"WAL", "DELETE"} {
		for _, kind := range []struct {
			name string
			same bool
			of   map[string]func(*service)
		}{{"same", true, same}, {"other", false, other}} {
			for name, do := range kind.of {
				t.Run(mode+"/"+kind.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					s := start(t, t.TempDir(), "&_journal="+mode)
					s.exec("INSERT INTO items (stamp) VALUES ('in the WAL')")
					_, before := s.tag()
					do(s)
					if _, after := s.tag(); (after == before) != kind.same {
						t.Errorf("the tag was %s, and is %s", before, after)
					}
					if got := fileTag(t, s); got != tagOf(t, s) {
						t.Errorf("to a file the tag is %s", got)
					}
				})
			}
		}
	}
}

func tagOf(t *testing.T, s *service) string {
	_, tag := s.tag()
	return tag
}

// fileTag is the tag of a pull to a file, which is copied from the live one.
func fileTag(t *testing.T, s *service) string {
	t.Helper()
	d := newFileDest(t)
	report, err := swapper.Pull(t.Context(), s.db, d, swapper.PullOptions{Tag: true})
	if err != nil || !d.fromLive(t, s.path) {
		t.Fatalf("%v, directly: %v", err, d.fromLive(t, s.path))
	}
	return report.Tag
}

// unread is a source that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the source was read")
	return 0, io.ErrUnexpectedEOF
}

func TestAPushWithATagIsMadeIfNothingChanged(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
			t.Run(mode+"/"+string(method), func(t *testing.T) {
				t.Parallel()
				s := start(t, t.TempDir(), "&_journal="+mode)
				s.exec("INSERT INTO items (stamp) VALUES ('in the WAL')")
				_, tag := s.tag()
				r := s.mustPush(source(t, "new"), swapper.PushOptions{IfMatch: tag, Method: method, DryRun: true})
				if r.Tag != tag || r.Swapped {
					t.Errorf("dry: tag %q, %v", r.Tag, r.Swapped)
				}
				if r = s.mustPush(source(t, "new"), swapper.PushOptions{IfMatch: tag, Method: method}); !r.Swapped || r.Method != method || s.stamp() != "new" {
					t.Errorf("%+v, %s", r, s.stamp())
				}
				r, err := swapper.Push(t.Context(), s.db, unread{t}, swapper.PushOptions{IfMatch: tag, Method: method})
				if !errors.Is(err, swapper.ErrChanged) || r.Tag == tag || !strings.Contains(err.Error(), "generation 2, since ") ||
					!strings.Contains(err.Error(), "by a push") || !strings.Contains(err.Error(), "the live database is unchanged") {
					t.Errorf("%v, %+v", err, r)
				}
				t.Log(err)
				s.mustPush(source(t, "newer"), swapper.PushOptions{IfMatch: r.Tag, Method: method})
				s.onlyFiles()
			})
		}
	}
}

// TestAWriteDuringThePush comes after the tag was compared and before the swap.
func TestAWriteDuringThePushThatHasATagRefusesIt(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
			t.Run(mode+"/"+string(method), func(t *testing.T) {
				t.Parallel()
				s := start(t, t.TempDir(), "&_journal="+mode)
				_, tag := s.tag()
				_, err := s.push(source(t, "new"), swapper.PushOptions{IfMatch: tag, Method: method, Validate: func(context.Context, *sql.DB) error {
					s.exec("INSERT INTO items (stamp) VALUES ('meanwhile')")
					return nil
				}})
				if !errors.Is(err, swapper.ErrChanged) || s.stamp() != "live,meanwhile" {
					t.Errorf("%v; %s", err, s.stamp())
				}
				// What changes nothing does not refuse it.
				_, tag = s.tag()
				s.mustPush(source(t, "new"), swapper.PushOptions{IfMatch: tag, Method: method, Validate: func(context.Context, *sql.DB) error {
					s.exec("UPDATE items SET stamp = stamp; PRAGMA wal_checkpoint(TRUNCATE)")
					return nil
				}})
			})
		}
	}
}

// TestAWriteByAnotherName comes through a hard link in another directory, which is gone
// before anybody counts the names.
func TestAWriteByAnotherNameThatIsGoneRefusesAPush(t *testing.T) {
	t.Parallel()
	for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), "&_journal=DELETE")
			_, tag := s.tag()
			other := filepath.Join(filepath.Dir(s.path), "elsewhere")
			_, err := s.push(source(t, "new"), swapper.PushOptions{IfMatch: tag, Method: method, Validate: func(context.Context, *sql.DB) error {
				link := filepath.Join(other, "link.db")
				if err := errors.Join(os.Mkdir(other, 0o700), os.Link(s.path, link)); err != nil {
					return err
				}
				plain, err := sql.Open("sqlite3", link)
				if err != nil {
					return err
				}
				_, err = plain.Exec("INSERT INTO items (stamp) VALUES ('linked')")
				return errors.Join(err, plain.Close(), os.RemoveAll(other))
			}})
			if !errors.Is(err, swapper.ErrChanged) || s.stamp() != "linked,live" && s.stamp() != "live,linked" {
				t.Errorf("%v; %s", err, s.stamp())
			}
		})
	}
}

// TestMuchThatHappensInTheDirectory is more than the kernel keeps for a watch.
func TestMuchThatHappensInTheDirectoryRefusesNoPush(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	_, tag := s.tag()
	s.mustPush(source(t, "new"), swapper.PushOptions{IfMatch: tag, Validate: func(context.Context, *sql.DB) error {
		most, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
		n, convErr := strconv.Atoi(strings.TrimSpace(string(most)))
		if err := errors.Join(err, convErr); err != nil {
			return err
		}
		names := [2]string{filepath.Join(s.dir, "a"), filepath.Join(s.dir, "b")}
		if err := os.WriteFile(names[0], nil, 0o600); err != nil {
			return err
		}
		for i := range n + 2 {
			if err := os.Rename(names[i%2], names[(i+1)%2]); err != nil {
				return err
			}
		}
		return nil
	}})
}

func TestATagOfNothingThatIsThere(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	_, tag := s.tag()
	for _, bad := range []string{"x", strings.ToUpper(tag), tag + "0", `"` + tag + `"`} {
		if _, err := swapper.Push(t.Context(), s.db, unread{t}, swapper.PushOptions{IfMatch: bad}); err == nil || !strings.Contains(err.Error(), "is not a tag") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	if _, err := swapper.Push(t.Context(), s.db, unread{t}, swapper.PushOptions{IfMatch: tag}); !errors.Is(err, swapper.ErrChanged) {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "empty.db")
	empty, err := sql.Open(driver.Name, path)
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if err := empty.Ping(); err != nil {
		t.Fatal(err)
	}
	db, _ := driver.Lookup(path)
	if _, err := swapper.Push(t.Context(), db, unread{t}, swapper.PushOptions{IfMatch: tag}); !errors.Is(err, swapper.ErrChanged) {
		t.Error(err)
	}
}
