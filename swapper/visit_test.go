package swapper_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"strings"
	"testing"

	"hotswap/internal/statetag"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// TestAPushIsNotInTheWayOfAProgramThatIsAlone: one connection, and no patience for
// locks, for there is nobody else.
func TestAPushIsNotInTheWayOfAProgramThatIsAlone(t *testing.T) {
	t.Parallel()
	calls := map[string]func(db *sql.DB) error{
		"write": func(db *sql.DB) error {
			_, err := db.Exec("INSERT INTO items (stamp) SELECT stamp FROM items LIMIT 1")
			return err
		},
		"transaction": func(db *sql.DB) error {
			tx, err := db.Begin()
			if err != nil {
				return err
			}
			defer tx.Rollback()
			if _, err := tx.Exec("INSERT INTO items (stamp) SELECT stamp FROM items LIMIT 1"); err != nil {
				return err
			}
			return tx.Commit()
		},
		"text": func(db *sql.DB) error {
			_, err := db.Exec("BEGIN; INSERT INTO items (stamp) SELECT stamp FROM items LIMIT 1; COMMIT; PRAGMA user_version=1; PRAGMA application_id=1")
			return err
		},
		"checkpoint": func(db *sql.DB) error {
			var busy, log, done int // busy if it met a push's own
			return db.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &done)
		},
		"VACUUM": func(db *sql.DB) error { _, err := db.Exec("VACUUM"); return err },
	}
	for _, mode := range []string{"DELETE", "WAL"} {
		for name, call := range calls {
			if name == "checkpoint" && mode == "DELETE" {
				continue
			}
			t.Run(mode+", "+name, func(t *testing.T) {
				s := start(t, t.TempDir(), "&_busy_timeout=0&_txlock=deferred&_journal="+mode)
				s.pool.SetMaxOpenConns(1)
				stop := testenv.Loop(t, 1, func() error { return call(s.pool) })
				data := source(t, "new")
				for i := range 6 {
					opts := swapper.PushOptions{SkipIntegrityCheck: true, DryRun: i%3 == 0, Method: swapper.MethodRename}
					if i%2 == 0 {
						opts.Method = swapper.MethodInPlace
					}
					if _, err := s.push(data, opts); err != nil {
						t.Error(err)
					}
				}
				stop()
			})
		}
	}
}

// TestReadingTheLiveDatabaseFailsNoWrite, although nobody can commit meanwhile: for a tag, a
// pull, and what a push from another machine is compared with.
func TestReadingTheLiveDatabaseFailsNoWrite(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_busy_timeout=0&_journal=DELETE")
	s.exec("CREATE TABLE large AS SELECT zeroblob(20000000) AS b")
	s.pool.SetMaxOpenConns(1)
	data := source(t, "new")
	for name, read := range map[string]func() error{
		"tag": func() error {
			_, err := s.push(data, swapper.PushOptions{IfMatch: strings.Repeat("0", statetag.Length)})
			if !errors.Is(err, swapper.ErrChanged) {
				return err
			}
			return nil
		},
		"pull": func() error {
			_, err := swapper.Pull(context.Background(), s.db, io.Discard, swapper.PullOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			stop := testenv.Loop(t, 1, func() error { _, err := s.pool.Exec("INSERT INTO items (stamp) VALUES (1)"); return err })
			for range 5 {
				if err := read(); err != nil {
					t.Error(err)
				}
			}
			stop()
		})
	}
}

// TestWhatTheProgramDoesToItsDatabaseDuringACheck: the push has the file not open
// then, and looks again later.
func TestWhatTheProgramDoesToItsDatabaseDuringACheck(t *testing.T) {
	t.Parallel()
	for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
		for _, c := range []struct{ from, does, mode string }{
			{"WAL", "PRAGMA journal_mode=DELETE", "delete"},
			{"WAL", "PRAGMA journal_mode=TRUNCATE; PRAGMA user_version=3", "truncate"},
			{"DELETE", "PRAGMA journal_mode=WAL", "wal"},
			{"WAL", "PRAGMA wal_checkpoint(TRUNCATE); VACUUM", "wal"},
			{"DELETE", "PRAGMA auto_vacuum=FULL; VACUUM", "delete"},
		} {
			t.Run(string(method)+", "+c.from+", "+c.does, func(t *testing.T) {
				s := start(t, t.TempDir(), "&_busy_timeout=0")
				s.pool.SetMaxOpenConns(1)
				s.exec("PRAGMA journal_mode=" + c.from)
				data := source(t, "new")
				r, err := s.push(data, swapper.PushOptions{Method: method, Backup: true, Validate: func(context.Context, *sql.DB) error {
					_, err := s.pool.Exec(c.does)
					return err
				}})
				if err != nil || !r.Swapped || r.Method != method {
					t.Fatalf("%+v, %v", r, err)
				}
				var mode string
				if err := s.pool.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || !strings.EqualFold(mode, c.mode) {
					t.Errorf("journal mode %s, %v; want %s", mode, err, c.mode)
				}
				if digest(t, s.pool) != contentOf(t, data) {
					t.Error("the live content is not what was pushed")
				}
				s.exec("INSERT INTO items (stamp) VALUES ('new')")
				s.mustPush(source(t, "newer"), swapper.PushOptions{})
			})
		}
	}
}
