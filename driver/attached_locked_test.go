package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// TestALockedAttachmentMakesCallsWait, also those that need only the main database:
// without the swap they would not have met its lock.
func TestALockedAttachmentMakesCallsWait(t *testing.T) {
	conn, d := impatient(t)
	file := filepath.Join(t.TempDir(), "side.db")
	mustExec(t, conn, "ATTACH ? AS side", file)
	before := attached(t, conn)
	swap(t, d)
	unlock := lock(t, file)
	var n int
	short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	err := conn.QueryRowContext(short, "SELECT count(*) FROM main.sqlite_master").Scan(&n)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call while the attached database is locked: %v", err)
	}
	done := make(chan error)
	go func() {
		done <- conn.QueryRowContext(context.Background(), "SELECT count(*) FROM main.sqlite_master").Scan(&n)
	}()
	unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if after := attached(t, conn); after != before {
		t.Errorf("after the wait %q, before %q", after, before)
	}
}

// TestALockedMainDatabaseIsNoReasonToWait: its calls would get SQLite's error anyway.
func TestALockedMainDatabaseIsNoReasonToWait(t *testing.T) {
	conn, d := impatient(t)
	mustExec(t, conn, "ATTACH ':memory:' AS side")
	swap(t, d)
	defer lock(t, d.Path())()
	_, err := conn.ExecContext(context.Background(), "SELECT * FROM main.sqlite_master")
	var busy sqlite3.Error
	if !errors.As(err, &busy) || busy.Code != sqlite3.ErrBusy {
		t.Errorf("%v", err)
	}
}

// TestALockedAttachmentIsGivenUpAfterASwapThatDidNotRehearse, once the busy timeout is
// over: whoever swapped it asked for that.
func TestALockedAttachmentIsGivenUpAfterASwapThatDidNotRehearse(t *testing.T) {
	t.Parallel()
	conn, d := impatient(t)
	file := filepath.Join(t.TempDir(), "side.db")
	mustExec(t, conn, "ATTACH ? AS side; PRAGMA side.cache_size = 5", file)
	f := mustFreeze(t, d, driver.FreezeOptions{})
	f.Replaced()
	inside.OfFrozen(f).ForgiveReplay()
	f.Thaw()
	defer lock(t, file)()
	mustExec(t, conn, "SELECT * FROM main.sqlite_master")
	if after := attached(t, conn); after != "" {
		t.Errorf("still attached: %q", after)
	}
}

// impatient returns a connection that does not wait for locks, and leaves its file's
// journal mode alone.
func impatient(t *testing.T) (*sql.Conn, *driver.Database) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live.db")
	db, err := sql.Open(driver.Name, "file:"+path+"?_busy_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn := connect(t, db)
	mustExec(t, conn, "CREATE TABLE t (x)")
	d, _ := driver.Lookup(path)
	return conn, d
}

// lock takes the lock of a database that keeps readers out.
func lock(t *testing.T, file string) (unlock func()) {
	t.Helper()
	db, err := sql.Open("sqlite3", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	mustExec(t, db, "PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE")
	return func() { mustExec(t, db, "ROLLBACK") }
}
