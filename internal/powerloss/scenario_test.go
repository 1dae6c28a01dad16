//go:build linux && amd64

package powerloss

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/dbpath"
	diskspeed "hotswap/internal/disk"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// scenario is a push, and the program that it is made in.
type scenario struct {
	name        string
	journal     string
	synchronous string
	// mayLose is how many of the latest acknowledged writes SQLite itself loses
	// in a power loss with these settings: all of them in WAL mode with NORMAL,
	// which syncs the WAL at a checkpoint only; one in DELETE mode with FULL,
	// where the journal's removal is the commit, and is not synced
	// (https://www.sqlite.org/pragma.html#pragma_synchronous).
	mayLose int
	fast    bool // the disk is taken for a fast one, whatever it is; else for a slow one
	reads   bool // somebody reads what is in the WAL until the gate closes, which keeps it from being emptied before
	options swapper.PushOptions
}

var scenarios = []scenario{
	{name: "WAL", journal: "WAL", synchronous: "FULL"},
	{name: "WAL,backup", journal: "WAL", synchronous: "FULL", options: swapper.PushOptions{Backup: true}},
	{name: "WAL,NORMAL", journal: "WAL", synchronous: "NORMAL", mayLose: writesOld},
	{name: "DELETE", journal: "DELETE", synchronous: "EXTRA"},
	{name: "DELETE,backup", journal: "DELETE", synchronous: "EXTRA", options: swapper.PushOptions{Backup: true}},
	{name: "DELETE,FULL", journal: "DELETE", synchronous: "FULL", mayLose: 1},
	{name: "TRUNCATE", journal: "TRUNCATE", synchronous: "FULL"},
	{name: "PERSIST", journal: "PERSIST", synchronous: "FULL"},
	{name: "read,WAL", journal: "WAL", synchronous: "FULL", reads: true},
	{name: "fast,WAL", journal: "WAL", synchronous: "FULL", fast: true},
	{name: "fast,DELETE", journal: "DELETE", synchronous: "EXTRA", fast: true},
	{name: "in place,WAL", journal: "WAL", synchronous: "FULL", options: inPlace},
	{name: "in place,WAL,backup", journal: "WAL", synchronous: "FULL", options: swapper.PushOptions{Method: swapper.MethodInPlace, Backup: true}},
	{name: "in place,DELETE", journal: "DELETE", synchronous: "EXTRA", options: inPlace},
	{name: "in place,DELETE,backup", journal: "DELETE", synchronous: "EXTRA", options: swapper.PushOptions{Method: swapper.MethodInPlace, Backup: true}},
}

var all = flag.Bool("all", false, "look at every scenario, not only at those that differ most")

// theirTurn returns the scenarios of this run.
func theirTurn() []scenario {
	if *all {
		return scenarios
	}
	var some []scenario
	for _, s := range scenarios {
		switch s.name {
		case "WAL", "fast,WAL", "DELETE,backup", "in place,WAL":
			some = append(some, s)
		}
	}
	return some
}

var inPlace = swapper.PushOptions{Method: swapper.MethodInPlace}

const (
	liveName   = "live.sqlite3"
	backupName = liveName + "~"
)

// The child process's role: the directory it works in, its scenario, and the
// database that it pushes.
const (
	victimDir      = "HOTSWAP_TEST_POWERLOSS_DIR"
	victimScenario = "HOTSWAP_TEST_POWERLOSS_SCENARIO"
	victimSource   = "HOTSWAP_TEST_POWERLOSS_SOURCE"
)

func TestMain(m *testing.M) {
	testenv.NoPeers()
	if dir := os.Getenv(victimDir); dir != "" {
		if err := victim(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(servedDir); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	debug.SetGCPercent(400) // the states are many, and short-lived
	testenv.Parallel(4)
	os.Exit(m.Run())
}

// The lines by which a victim says how far it is.
const (
	markBegin        = "begin"        // a write
	markAcknowledged = "acknowledged" // the write
	markPush         = "push"
	markPushed       = "pushed"
)

// The writes of a victim: before the push, within it, and after it.
const (
	writesBefore = 2
	writesWithin = 1
	writesAfter  = 1
	writesOld    = writesBefore + writesWithin
)

// The rows of both databases: about as many pages, so that parts of one pass for
// parts of the other.
const oldRows, newRows = 30, 36

func say(mark string) { os.Stdout.WriteString(mark + "\n") }

func victim(dir string) error {
	var s *scenario
	for i := range scenarios {
		if scenarios[i].name == os.Getenv(victimScenario) {
			s = &scenarios[i]
		}
	}
	if s == nil {
		return errors.New("no such scenario")
	}
	image, err := os.ReadFile(os.Getenv(victimSource))
	if err != nil {
		return err
	}
	diskspeed.Slow = func(time.Duration) bool { return !s.fast }
	path := filepath.Join(dir, liveName)
	pool, err := sql.Open(driver.Name, dbpath.URI(path, "_txlock=immediate", "_journal="+s.journal, "_sync="+s.synchronous))
	if err != nil {
		return err
	}
	seq := 0
	writes := func(n int) error {
		for range n {
			seq++
			say(markBegin)
			if err := write(pool, seq); err != nil {
				return fmt.Errorf("write %d: %w", seq, err)
			}
			say(markAcknowledged)
		}
		return nil
	}
	if err := writes(writesBefore); err != nil {
		return err
	}
	db, ok := driver.Lookup(path)
	if !ok {
		return errors.New("the database is not managed")
	}
	opts := s.options
	var read *sql.Rows
	opts.Validate = func(context.Context, *sql.DB) error {
		if err := writes(writesWithin); err != nil || !s.reads {
			return err
		}
		var err error
		if read, err = pool.Query("SELECT 1 FROM sqlite_schema"); err == nil {
			read.Next()
		}
		return err
	}
	opts.Notify = func(e swapper.Event) {
		if e.Step == swapper.StepGateClosed && read != nil {
			read.Close()
		}
	}
	say(markPush)
	if _, err := swapper.Push(context.Background(), db, bytes.NewReader(image), opts); err != nil {
		return err
	}
	say(markPushed)
	seq = 0
	return writes(writesAfter)
}

// write changes some pages of the database in one transaction. What it leaves
// follows from what was there and from seq.
func write(db *sql.DB, seq int) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec("INSERT INTO writes (seq) VALUES (?)", seq); err != nil {
		return err
	}
	if _, err := tx.Exec("UPDATE items SET stamp = stamp || '.' || ? WHERE id % 9 = ?", seq, seq); err != nil {
		return err
	}
	return tx.Commit()
}

// prepare fills dir with a scenario's beginning: a live database and, where a
// backup is going to be made, an older one with a WAL that somebody left.
func (s scenario) prepare(dir string) error {
	if err := makeDatabase(filepath.Join(dir, liveName), "old", oldRows, s.journal); err != nil {
		return err
	}
	if !s.options.Backup {
		return nil
	}
	// A copy of an open database has the WAL that a last close removes.
	other := filepath.Join(dir, "other")
	if err := makeDatabase(other, "older", oldRows, "WAL"); err != nil {
		return err
	}
	db, err := sql.Open("sqlite3", dbpath.URI(other))
	if err != nil {
		return err
	}
	defer db.Close()
	if err := write(db, 1); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(other + suffix)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, backupName+suffix), data, 0o600); err != nil {
			return err
		}
	}
	db.Close()
	return os.Remove(other)
}

// makeDatabase makes a database with n rows, all of which say stamp.
func makeDatabase(path, stamp string, n int, journal string) error {
	db, err := sql.Open("sqlite3", dbpath.URI(path, "_journal="+journal))
	if err != nil {
		return err
	}
	defer db.Close()
	for _, q := range []string{
		"CREATE TABLE writes (seq INTEGER PRIMARY KEY)",
		"CREATE TABLE items (id INTEGER PRIMARY KEY, stamp TEXT NOT NULL, filler TEXT)",
		"CREATE INDEX items_stamp ON items (stamp, id)",
	} {
		if _, err := db.Exec(q); err != nil {
			return err
		}
	}
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
		INSERT INTO items SELECT i, ?2, replace(hex(zeroblob(300)), '00', ?2) FROM n`, n, stamp)
	return errors.Join(err, db.Close())
}

// source makes the database that is pushed, and returns its path.
func source(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source")
	if err := makeDatabase(path, "new", newRows, "DELETE"); err != nil {
		t.Fatal(err)
	}
	return path
}

// trace runs the scenario in dir, which was prepared, under the tracer.
func (s scenario) trace(dir, source string, enter func(event) action, leave func(event)) error {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	t := tracer{dir: dir, enter: enter, leave: leave}
	return t.run(os.Args[0], append(os.Environ(), victimDir+"="+dir, victimScenario+"="+s.name, victimSource+"="+source,
		// So that the calls are the same each time; and under the race detector a
		// process waits a second before it exits.
		"GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1", "GORACE=atexit_sleep_ms=0"))
}
