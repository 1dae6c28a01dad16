package swapper

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// resting is a database of a program, brought to rest.
type resting struct {
	path string
	pool *sql.DB
	rest *rest
}

func newResting(t *testing.T, journal string) *resting {
	t.Helper()
	s := &resting{path: filepath.Join(t.TempDir(), "live.sqlite3")}
	var err error
	if s.pool, err = sql.Open(driver.Name, s.path+"?_journal="+journal); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.pool.Close() })
	s.pool.SetMaxOpenConns(1)
	for _, q := range []string{"CREATE TABLE t (v)", "INSERT INTO t VALUES ('acknowledged')"} {
		if _, err := s.pool.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	db, _ := driver.Lookup(s.path)
	p := &push{db: db, readable: true, wal: journal == "WAL"}
	if p.target, err = inspectTarget(db.Path()); err != nil {
		t.Fatal(err)
	}
	p.target.leads = inside.Of(db).LeadsTo
	if err := p.target.openDir(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.target.closeDir)
	if s.rest = newRest(p); s.rest == nil {
		t.Fatal("no watch to be had")
	}
	t.Cleanup(s.rest.close)
	return s
}

// come brings it to rest, and reports whether it came there.
func (s *resting) come(t *testing.T) bool {
	t.Helper()
	if err := s.rest.attempt(t.Context(), func() bool { return true }); err != nil {
		t.Fatal(err)
	}
	return s.rest.reached == atRest
}

// outside runs statements on a connection that the driver does not know.
func (s *resting) outside(t *testing.T, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite3", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// many spills from a cache of a page.
const many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) INSERT INTO t SELECT randomblob(2000) FROM n"

func TestADatabaseIsAtRestUntilItIsTouched(t *testing.T) {
	for _, journal := range []string{"WAL", "DELETE", "TRUNCATE", "PERSIST"} {
		for _, touch := range []struct {
			name string
			do   func(t *testing.T, s *resting)
			want bool
		}{
			{"by nothing", func(*testing.T, *resting) {}, true},
			{"by the program's reads", func(t *testing.T, s *resting) {
				var v string
				if err := s.pool.QueryRow("SELECT v FROM t").Scan(&v); err != nil {
					t.Fatal(err)
				}
			}, true},
			{"by another's reads", func(t *testing.T, s *resting) { s.outside(t, "SELECT v FROM t") }, true},
			{"by a file beside it", func(t *testing.T, s *resting) {
				if err := os.WriteFile(s.path+".txt", []byte("text"), 0o600); err != nil {
					t.Fatal(err)
				}
			}, true},
			{"by a commit", func(t *testing.T, s *resting) { s.outside(t, "INSERT INTO t VALUES (1)") }, false},
			// Of these nothing is to be seen afterwards: the sizes are as they were, and the WAL
			// is empty, or the journal gone.
			{"by a commit that is checkpointed", func(t *testing.T, s *resting) {
				s.outside(t, "UPDATE t SET v = 'Acknowledged'", "PRAGMA wal_checkpoint(TRUNCATE)")
			}, false},
			{"by a transaction that spills and is rolled back", func(t *testing.T, s *resting) {
				s.outside(t, "PRAGMA cache_size=1", "BEGIN", many, "ROLLBACK", "PRAGMA wal_checkpoint(TRUNCATE)")
			}, false},
		} {
			t.Run(journal+"/"+touch.name, func(t *testing.T) {
				t.Parallel()
				s := newResting(t, journal)
				if !s.come(t) {
					t.Fatal("it does not come to rest")
				}
				touch.do(t, s)
				if got := s.rest.lasts() == atRest; got != touch.want {
					t.Errorf("at rest: %t", got)
				}
			})
		}
	}
}

// What keeps a database from its rest is left to the gate, and is no error.
func TestAReaderOfWhatIsInTheWALKeepsADatabaseFromItsRest(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		written bool // since the reader began
		want    restState
	}{
		{"of what is old", true, noRest},
		{"of what is moved all the same", false, inFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newResting(t, "WAL")
			s.outside(t, "INSERT INTO t VALUES ('before')")
			rows, err := s.pool.Query("SELECT v FROM t")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			rows.Next()
			if c.written {
				s.outside(t, "INSERT INTO t VALUES ('after')")
			}
			if s.come(t) || s.rest.lasts() != c.want || (s.rest.conn != nil) != (c.want != noRest) {
				t.Errorf("with a WAL that is read it is %d, want %d", s.rest.lasts(), c.want)
			}
			rows.Close()
			if !s.come(t) || s.rest.lasts() != atRest {
				t.Error("not at rest behind the reader")
			}
		})
	}
}

func TestADatabaseWithATransactionOpenIsNotBroughtToRest(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		s := newResting(t, journal)
		if err := s.rest.attempt(t.Context(), func() bool { return false }); err != nil || s.rest.lasts() != noRest || s.rest.conn != nil {
			t.Errorf("%s: with a transaction open: %d, %v", journal, s.rest.lasts(), err)
		}
	}
}

// A WAL that is made anew may be there because an earlier one was removed, and that may
// not be durable: a power loss might bring that one back.
func TestTheRemovalOfAnEarlierWALIsMadeDurable(t *testing.T) {
	t.Parallel()
	s := newResting(t, "WAL")
	s.pool.SetMaxIdleConns(-1) // the last connection is closed
	s.outside(t, "INSERT INTO t VALUES ('made anew')")
	if _, err := s.rest.touched(); err != nil || !s.rest.unsynced {
		t.Errorf("not seen: %v", err)
	}
	if !s.come(t) || s.rest.unsynced {
		t.Errorf("at rest: %d, without a sync of the directory", s.rest.reached)
	}
}
