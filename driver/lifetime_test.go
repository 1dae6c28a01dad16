package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/testenv"
)

// TestADatabaseIsOneForAsLongAsAnybodyRefersToIt: a Database kept after its pools were
// closed freezes, reports and counts what the next pool does.
func TestADatabaseIsOneForAsLongAsAnybodyRefersToIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	open := func() *sql.DB {
		pool, err := sql.Open(driver.Name, path)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, pool, "CREATE TABLE IF NOT EXISTS t (x)")
		return pool
	}
	pool := open()
	kept, _ := driver.Lookup(path)
	told := make(chan driver.Swap, 1)
	kept.OnSwap(func(s driver.Swap) { told <- s })
	pool.Close()
	if all := driver.Databases(); len(all) != 0 {
		t.Errorf("managed without a pool: %v", all)
	}
	pool = open()
	defer pool.Close()
	if again, ok := driver.Lookup(path); !ok || again != kept {
		t.Error("another Database")
	}
	frozen, err := kept.Freeze(t.Context(), driver.FreezeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if frozen.Connections != 1 {
		t.Errorf("%d connections closed", frozen.Connections)
	}
	ended := make(chan error)
	go func() { ended <- pool.Ping() }()
	testenv.Until(t, "the call waits", func() bool { return kept.Stats().Waiting == 1 })
	frozen.Replaced()
	frozen.Thaw()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(told) != 1 {
		t.Error("OnSwap was not told")
	}
}

// TestADatabaseThatWasGivenUpIsWhatIsAtItsPathNow: the file that was there when its
// last pool was closed keeps nobody out, not even a push's own connection.
func TestADatabaseThatWasGivenUpIsWhatIsAtItsPathNow(t *testing.T) {
	r := startReplaced(t, "WAL")
	kept, release, err := driver.Manage(r.live)
	if err != nil {
		t.Fatal(err)
	}
	release()
	r.pool.Close()
	r.mv()
	defer inside.Of(kept).Keep()()
	if err := inside.Of(kept).CheckFile(t.Context()); err != nil {
		t.Error(err)
	}
	own := inside.Of(kept).OpenOwn("mode=rw")
	defer own.Close()
	if got := stamps(t, own); got != "new 50" || kept.Generation() != 2 {
		t.Errorf("%s in generation %d", got, kept.Generation())
	}
}

// hiding is a driver wrapper that does not pass on the connector's Close, like some for
// tracing and metrics.
type hiding struct{ sqldriver.Connector }

// TestAConnectorThatIsNotClosedIsGivenUpWhenItIsUnreachable.
func TestAConnectorThatIsNotClosedIsGivenUpWhenItIsUnreachable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	func() {
		connector, err := driver.New().OpenConnector(path)
		if err != nil {
			t.Fatal(err)
		}
		pool := sql.OpenDB(hiding{connector})
		mustExec(t, pool, "CREATE TABLE t (x)")
		pool.Close()
	}()
	testenv.Until(t, "it is no longer managed", func() bool {
		runtime.GC()
		_, ok := driver.Lookup(path)
		return !ok
	})
}

// TestAnAttacherThatComesAndGoesBringsNoTwoFilesTogether: without any push.
func TestAnAttacherThatComesAndGoesBringsNoTwoFilesTogether(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	other, err := sql.Open(driver.Name, filepath.Join(t.TempDir(), "other.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxIdleConns(-1)
	stop := testenv.Loop(t, 2, func() error {
		conn, err := other.Conn(context.Background())
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.ExecContext(context.Background(), "ATTACH ? AS a", r.live); err != nil {
			return err
		}
		var seen string
		err = conn.QueryRowContext(context.Background(), "SELECT group_concat(DISTINCT stamp) FROM a.t").Scan(&seen)
		if err == nil && len(seen) != 3 {
			err = fmt.Errorf("it reads a mixture: %s", seen)
		}
		return err
	})
	content, err := os.ReadFile(r.next)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		r.write()
		next := fmt.Sprintf("%s.%d", r.next, i)
		if err := os.WriteFile(next, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, r.live); err != nil {
			t.Fatal(err)
		}
		testenv.Until(t, "it is adopted", func() bool { return r.db.Generation() == uint64(i+2) })
		if got := stamps(t, r.pool); got != "new 50" {
			t.Fatal(got)
		}
	}
	stop()
	r.sound()
}

// TestAnAttacherDoesNotReadAFileBeforeItsGenerationBegins while no connection of the
// file's own database is open; nor one that is incomplete.
func TestAnAttacherDoesNotReadAFileBeforeItsGenerationBegins(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	r.pool.SetMaxIdleConns(-1)
	other, err := sql.Open(driver.Name, filepath.Join(t.TempDir(), "other.db")+"?_busy_timeout=50")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxIdleConns(-1)
	if err := os.WriteFile(r.live+".cut", []byte("SQLite format 3\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(r.live+".cut", r.live); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Exec("ATTACH ? AS a", r.live); !errors.Is(err, driver.ErrReplaced) {
		t.Errorf("a file that is not whole: %v", err)
	}
	r.mv()
	conn := connect(t, other)
	defer conn.Close()
	testenv.Eventually(t, func() error { // it was written a moment ago
		_, err := conn.ExecContext(t.Context(), "ATTACH ? AS a", r.live)
		return err
	})
	if g := r.db.Generation(); g != 2 {
		t.Errorf("attached in generation %d", g)
	}
	if got := stamps(t, r.pool); got != "new 50" || r.db.Generation() != 2 {
		t.Errorf("%s in generation %d", got, r.db.Generation())
	}
}

// TestADatabaseGoesWithItsName: the symlink is repointed while no pool is open.
func TestADatabaseGoesWithItsName(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "current", "live.db")
	turn := func(rel string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, rel), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(rel, filepath.Join(dir, "next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")); err != nil {
			t.Fatal(err)
		}
	}
	open := func() *sql.DB {
		pool, err := sql.Open(driver.Name, name)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, pool, "CREATE TABLE IF NOT EXISTS t (x)")
		return pool
	}
	turn("rel1")
	pool := open()
	kept, _ := driver.Lookup(name)
	told := make(chan driver.Swap, 1)
	kept.OnSwap(func(s driver.Swap) { told <- s })
	pool.Close()
	turn("rel2")
	pool = open()
	defer pool.Close()
	if again, ok := driver.Lookup(name); !ok || again != kept || kept.Path() != filepath.Join(dir, "rel2", "live.db") {
		t.Errorf("another Database, and this one has %s", kept.Path())
	}
	if s := within(t, "OnSwap", told); s.Generation != 2 || kept.Generation() != 2 {
		t.Errorf("%+v", s)
	}
}
