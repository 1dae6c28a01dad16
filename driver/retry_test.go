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
	"hotswap/internal/testenv"
)

// overwritten runs call while somebody has SQLite's write lock, as when new content is
// written in place, with the gate kept from writes; it expects the call to wait for the
// end of that.
func overwritten(t *testing.T, d *driver.Database, call func() error) error {
	t.Helper()
	f := mustFreeze(t, d, inside.Extend(driver.FreezeOptions{MaxPause: time.Millisecond}, inside.FreezeOptions{WritesOnly: true}))
	writer, err := sql.Open("sqlite3", "file:"+d.Path()+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	tx, err := writer.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	done := make(chan error, 1)
	go func() { done <- call() }()
	waits := func() bool {
		for _, other := range driver.Databases() {
			if other.Stats().Waiting > 0 {
				return true
			}
		}
		return len(done) > 0
	}
	testenv.Until(t, "the call waits, or has ended", waits)
	if len(done) > 0 {
		t.Error("it did not wait")
	}
	tx.Rollback()
	writer.Close()
	f.Thaw()
	return <-done
}

func TestWhatMeetsAnOverwritingWaitsForItsEnd(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		before []string
		query  string
		after  string
	}{
		"a deferred transaction that has read nothing": {[]string{"BEGIN"}, "INSERT INTO t (v) VALUES ('x')", "COMMIT"},
		"the same, and a text of several":              {[]string{"BEGIN"}, "INSERT INTO t (v) VALUES ('x'); UPDATE t SET v = 'y'", "COMMIT"},
		"a savepoint that has read nothing":            {[]string{"SAVEPOINT s"}, "INSERT INTO t (v) VALUES ('x')", "RELEASE s"},
		"two PRAGMAs in one text":                      {nil, "PRAGMA user_version=1; PRAGMA application_id=2", ""},
		"a PRAGMA that writes":                         {nil, "PRAGMA user_version=1", ""},
		"a checkpoint, twice":                          {nil, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_checkpoint(TRUNCATE)", ""},
		"VACUUM":                                       {nil, "VACUUM", ""},
		"another journal mode":                         {nil, "PRAGMA journal_mode=DELETE", ""},
		"WITH and INSERT":                              {nil, "WITH x(v) AS (VALUES ('x')) INSERT INTO t (v) SELECT v FROM x", ""},
		"WITH and INSERT, and another one":             {nil, "WITH x(v) AS (VALUES ('x')) INSERT INTO t (v) SELECT v FROM x; SELECT 1", ""},
		"BEGIN IMMEDIATE":                              {nil, "BEGIN IMMEDIATE", "ROLLBACK"},
		"BEGIN EXCLUSIVE":                              {nil, "BEGIN EXCLUSIVE", "ROLLBACK"},
		"ANALYZE":                                      {nil, "ANALYZE", ""},
	} {
		t.Run(name, func(t *testing.T) {
			db, d := open(t, "&_busy_timeout=0", 1)
			conn := connect(t, db)
			for _, q := range c.before {
				mustExec(t, conn, q)
			}
			if err := overwritten(t, d, func() error { _, err := conn.ExecContext(ctx, c.query); return err }); err != nil {
				t.Error(err)
			}
			if c.after != "" {
				mustExec(t, conn, c.after)
			}
		})
	}
}

// TestATextOfSeveralThatMayHaveDoneSomethingIsNotRunAgain: its first statement would fail.
func TestATextOfSeveralThatMayHaveDoneSomethingIsNotRunAgain(t *testing.T) {
	db, d := open(t, "&_busy_timeout=0", 1)
	texts := map[string]*sql.Conn{"INSERT INTO own.o VALUES (1)": nil, "CREATE TABLE own.p (v)": nil}
	for text := range texts {
		texts[text] = connect(t, db)
		mustExec(t, texts[text], "ATTACH ':memory:' AS own")
		mustExec(t, texts[text], "CREATE TABLE own.o (v)")
		mustExec(t, texts[text], "BEGIN")
	}
	f := mustFreeze(t, d, inside.Extend(driver.FreezeOptions{MaxPause: time.Millisecond}, inside.FreezeOptions{WritesOnly: true}))
	defer f.Thaw()
	writer, err := sql.Open("sqlite3", d.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	mustExec(t, connect(t, writer), "BEGIN IMMEDIATE")
	for text, conn := range texts {
		var se sqlite3.Error
		if _, err := conn.ExecContext(t.Context(), text+"; INSERT INTO t (v) VALUES ('x')"); !errors.As(err, &se) || se.Code != sqlite3.ErrBusy {
			t.Errorf("%s: %v", text, err)
		}
		mustExec(t, conn, "ROLLBACK")
	}
}

// TestATransactionThatHasReadTheOldContentWaitsToo, and can go on if that content is
// still there; if it is gone, its write fails at once.
func TestATransactionThatHasReadTheOldContentWaitsToo(t *testing.T) {
	db, d := open(t, "&_busy_timeout=0", 1)
	ctx := context.Background()
	conn := connect(t, db)
	begin := func() {
		mustExec(t, conn, "BEGIN")
		var v string
		if err := conn.QueryRowContext(ctx, "SELECT v FROM t").Scan(&v); err != nil {
			t.Fatal(err)
		}
	}
	write := func() error { _, err := conn.ExecContext(ctx, "UPDATE t SET v = v || ', and more'"); return err }
	begin()
	if err := overwritten(t, d, write); err != nil {
		t.Error(err)
	}
	mustExec(t, conn, "COMMIT")

	begin()
	f := mustFreeze(t, d, inside.Extend(driver.FreezeOptions{MaxPause: time.Millisecond}, inside.FreezeOptions{WritesOnly: true}))
	writer, err := sql.Open("sqlite3", d.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	mustExec(t, writer, "UPDATE t SET v = 'new'")
	err = write()
	var se sqlite3.Error
	if !errors.As(err, &se) || se.ExtendedCode != sqlite3.ErrBusySnapshot {
		t.Errorf("got %v, want SQLITE_BUSY_SNAPSHOT", err)
	}
	f.Thaw()
	mustExec(t, conn, "ROLLBACK")
}

func TestATransactionOfAnAttacherWaitsForAnOverwriting(t *testing.T) {
	db, d := open(t, "&_busy_timeout=0", 1)
	other, _ := open(t, "&_busy_timeout=0", 1)
	ctx := context.Background()
	conn := connect(t, other)
	mustExec(t, conn, "ATTACH ? AS live", d.Path())
	mustExec(t, conn, "BEGIN")
	mustExec(t, conn, "INSERT INTO main.t (v) VALUES ('mine')")
	write := func() error { _, err := conn.ExecContext(ctx, "INSERT INTO live.t (v) VALUES ('x')"); return err }
	if err := overwritten(t, d, write); err != nil {
		t.Error(err)
	}
	mustExec(t, conn, "COMMIT")
	var n int
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestACommitThatAReaderKeepsFromItsLockIsMadeAgain: with a rollback journal, a brief
// reader of the database keeps a commit from its lock.
func TestACommitThatAReaderKeepsFromItsLockIsMadeAgain(t *testing.T) {
	for _, text := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "live.sqlite3")
		db, err := sql.Open(driver.Name, "file:"+path+"?_busy_timeout=0")
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		mustExec(t, db, "CREATE TABLE t (v)")
		d, _ := driver.Lookup(path)
		ctx := context.Background()
		conn := connect(t, db)
		commit := func() error { _, err := conn.ExecContext(ctx, "COMMIT"); return err }
		if text {
			mustExec(t, conn, "BEGIN")
		} else {
			tx, err := conn.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			commit = tx.Commit
		}
		mustExec(t, conn, "INSERT INTO t VALUES (1)")

		f := mustFreeze(t, d, inside.Extend(driver.FreezeOptions{MaxPause: time.Millisecond}, inside.FreezeOptions{WritesOnly: true}))
		reader, err := sql.Open("sqlite3", path)
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		tx, err := reader.Begin()
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 0 {
			t.Fatalf("%d, %v", n, err)
		}
		done := make(chan error, 1)
		go func() { done <- commit() }()
		testenv.Until(t, "the commit waits", func() bool { return d.Stats().Waiting == 1 || len(done) > 0 })
		if len(done) > 0 {
			t.Error("it did not wait")
		}
		tx.Rollback()
		f.Thaw()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := reader.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d rows, %v", n, err)
		}
	}
}

// TestABusyThatIsNoOverwritingsIsTheCallers: at once.
func TestABusyThatIsNoOverwritingsIsTheCallers(t *testing.T) {
	db, _ := open(t, "&_busy_timeout=0", 1)
	first := connect(t, db)
	mustExec(t, first, "BEGIN IMMEDIATE")
	second := connect(t, db)
	mustExec(t, second, "BEGIN")
	_, err := second.ExecContext(context.Background(), "DELETE FROM t")
	var se sqlite3.Error
	if !errors.As(err, &se) || se.Code != sqlite3.ErrBusy {
		t.Errorf("got %v, want SQLITE_BUSY", err)
	}
	mustExec(t, first, "ROLLBACK")
}
