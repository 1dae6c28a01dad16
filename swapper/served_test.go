package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hotswap/swapper"
)

// displacements are the ways in which the program's file loses its name.
var displacements = map[string]func(t testing.TB, s *service){
	"removed":              func(t testing.TB, s *service) { remove(t, s.path) },
	"removed with its log": func(t testing.TB, s *service) { remove(t, s.path, s.path+"-wal", s.path+"-shm") },
	"no database":          func(t testing.TB, s *service) { moveOver(t, s.path, "this is no database, and long enough") },
	"empty":                func(t testing.TB, s *service) { moveOver(t, s.path, "") },
	"truncated":            func(t testing.TB, s *service) { moveOver(t, s.path, string(source(t, "cut")[:5000])) },
}

func remove(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func moveOver(t testing.TB, path, content string) {
	t.Helper()
	other := path + ".other"
	if err := os.WriteFile(other, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
}

// pulled pulls, and returns the stamps of the copy and the steps.
func (s *service) pulled() (stamps string, steps []swapper.Step, err error) {
	s.t.Helper()
	var copied bytes.Buffer
	_, err = swapper.Pull(s.t.Context(), s.db, &copied, swapper.PullOptions{Check: true, Notify: func(e swapper.Event) { steps = append(steps, e.Step) }})
	if err != nil {
		return "", steps, err
	}
	path := filepath.Join(s.t.TempDir(), "copy.sqlite3")
	if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return stampsIn(s.t.(*testing.T), path), steps, nil
}

// TestAPullCopiesWhatTheProgramServesThoughItsFileIsGone: that is when a copy is needed
// most.
func TestAPullCopiesWhatTheProgramServesThoughItsFileIsGone(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		for name, displace := range displacements {
			t.Run(mode+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := start(t, t.TempDir(), "&_journal="+mode)
				s.pool.SetMaxOpenConns(1)
				s.exec("UPDATE items SET stamp = 'acknowledged'; CREATE TEMP TABLE own (v)")
				displace(t, s)
				for range 2 {
					stamps, steps, err := s.pulled()
					if err != nil || stamps != "acknowledged" || !slices.Contains(steps, swapper.StepServed) {
						t.Errorf("got %q, %v, %q", stamps, err, steps)
					}
				}
				if s.stamp() != "acknowledged" {
					t.Error(s.stamp())
				}
				s.exec("SELECT * FROM own") // the connection is as it was
			})
		}
	}
}

// refused is refuses while the program's own calls can't be made.
func (s *service) refused(opts swapper.PushOptions, kind error, says string) {
	s.t.Helper()
	r, err := swapper.Push(s.t.Context(), s.db, bytes.NewReader(source(s.t, "new")), opts)
	if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), says) || r.Swapped {
		s.t.Errorf("%+v, %v", r, err)
	}
}

// TestAPushOverWhatIsNoDatabaseIsRefusedForGood: to try again does not help.
func TestAPushOverWhatIsNoDatabaseIsRefusedForGood(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.exec("UPDATE items SET stamp = 'acknowledged'")
	displacements["no database"](t, s)
	s.refuses(swapper.PushOptions{Backup: true}, swapper.ErrTarget, "a pull copies the old file")
	if _, err := swapper.Push(t.Context(), s.db, bytes.NewReader(source(t, "new")), swapper.PushOptions{}); errors.Is(err, swapper.ErrBusy) {
		t.Error(err)
	}
	if s.stamp() != "acknowledged" {
		t.Error(s.stamp())
	}
}

// TestTheSchemaOfARemovedFileIsCompared with that of the new one, in a dry run, too.
func TestTheSchemaOfARemovedFileIsCompared(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		s := start(t, t.TempDir(), "&_journal="+mode)
		s.pool.SetMaxOpenConns(1)
		s.exec("CREATE TABLE more (v)")
		displacements["removed with its log"](t, s)
		for _, dry := range []bool{true, false} {
			s.refuses(swapper.PushOptions{Backup: true, DryRun: dry}, swapper.ErrSchema, "table more is missing")
		}
		_, err := swapper.Push(t.Context(), s.db, bytes.NewReader(source(t, "new")), swapper.PushOptions{})
		if !strings.Contains(fmt.Sprint(err), "the live database is unchanged: the program goes on with the removed file") {
			t.Error(err)
		}
		s.exec("SELECT * FROM more")
		s.onlyFiles()
		if r := s.mustPush(source(t, "new"), swapper.PushOptions{SkipSchemaCheck: true}); r.BackupPath != "" || s.stamp() != "new" {
			t.Errorf("%+v, %s", r, s.stamp())
		}
	}
}

// TestARemovedFileThatNothingHasOpenIsSaidToBeGone.
func TestARemovedFileThatNothingHasOpenIsSaidToBeGone(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.pool.SetMaxIdleConns(-1)
	displacements["removed with its log"](t, s)
	if _, _, err := s.pulled(); !errors.Is(err, swapper.ErrNotExist) || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("a pull: %v", err)
	}
	s.refused(swapper.PushOptions{Backup: true}, swapper.ErrTarget, "nothing to make a backup of")
	s.mustPush(source(t, "new"), swapper.PushOptions{})
	if s.stamp() != "new" {
		t.Error(s.stamp())
	}
}

// TestARemovedFileThatIsInUseIsNotForced: what is interrupted loses its connection, which
// may be the last one that has the file.
func TestARemovedFileThatIsInUseIsNotForced(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.pool.SetMaxOpenConns(1)
	s.stamp()
	tx, err := s.pool.Begin()
	if err != nil {
		t.Fatal(err)
	}
	displacements["removed with its log"](t, s)
	opts := swapper.PushOptions{Backup: true, Force: true, Timeout: 30 * time.Millisecond}
	s.refused(opts, swapper.ErrBusy, "read the schema")
	opts.SkipSchemaCheck = true
	s.refused(opts, swapper.ErrBusy, "an open transaction")
	if _, err := tx.Exec("UPDATE items SET stamp = 'held'"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if r := s.mustPush(source(t, "new"), opts); stampsIn(t, r.BackupPath) != "held" {
		t.Error(stampsIn(t, r.BackupPath))
	}
}

// TestAJournalThatIsKeptBesideARemovedFileIsNamed: with it there SQLite reads nothing.
func TestAJournalThatIsKeptBesideARemovedFileIsNamed(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=PERSIST")
	s.pool.SetMaxOpenConns(1)
	s.exec("UPDATE items SET stamp = 'acknowledged'")
	displacements["removed"](t, s)
	journal := s.path + "-journal"
	says := "move " + journal + " away"
	if _, _, err := s.pulled(); !errors.Is(err, swapper.ErrTarget) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "cannot commit") {
		t.Errorf("a pull: %v", err)
	}
	for _, opts := range []swapper.PushOptions{{Backup: true}, {}, {Backup: true, SkipSchemaCheck: true}} {
		s.refused(opts, swapper.ErrTarget, says)
		s.refused(opts, swapper.ErrTarget, "the program still has the removed file open")
	}
	remove(t, journal)
	if stamps, _, err := s.pulled(); err != nil || stamps != "acknowledged" {
		t.Errorf("a pull: %s, %v", stamps, err)
	}
	if r := s.mustPush(source(t, "new"), swapper.PushOptions{Backup: true}); stampsIn(t, r.BackupPath) != "acknowledged" || s.stamp() != "new" {
		t.Errorf("%+v", r)
	}
}

// committing is a context that commits at each look.
type committing struct {
	context.Context
	commit func()
}

func (c committing) Err() error { c.commit(); return c.Context.Err() }

// TestAPullOfARemovedFileIsAsLongAsItsCopy: where connections share a cache, a read
// transaction of one does not keep another from a commit that the copy has.
func TestAPullOfARemovedFileIsAsLongAsItsCopy(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL&cache=shared")
	s.stamp()
	var conns [2]*sql.Conn // one of which is lent to the pull
	for i := range conns {
		var err error
		if conns[i], err = s.pool.Conn(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
		if err := conns[i].QueryRowContext(t.Context(), "SELECT count(*) FROM items").Scan(new(int)); err != nil {
			t.Fatal(err)
		}
	}
	displacements["removed"](t, s)
	commits := 0
	ctx := committing{t.Context(), func() {
		if stages, _ := filepath.Glob(filepath.Join(s.dir, ".*hotswap*")); len(stages) == 0 || commits > 0 {
			return
		}
		for _, conn := range conns {
			brief, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := conn.ExecContext(brief, "INSERT INTO items (stamp, filler) VALUES ('live', zeroblob(10000))"); err == nil {
				commits++
			}
			cancel()
		}
	}}
	var copied bytes.Buffer
	if _, err := swapper.Pull(ctx, s.db, &copied, swapper.PullOptions{Check: true}); err != nil || commits == 0 {
		t.Errorf("%v, with %d commits", err, commits)
	}
}
