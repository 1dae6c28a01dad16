package snapshot

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/testenv"
)

// setting is a kind of database, and how it is used.
type setting struct {
	pageSize   int
	autoVacuum string
	journal    string
	mmap       int
}

func (s setting) String() string {
	return fmt.Sprintf("page_size=%d,auto_vacuum=%s,journal_mode=%s,mmap_size=%d", s.pageSize, s.autoVacuum, s.journal, s.mmap)
}

// items is how many rows are written over and over.
const items = 300

// world is a database with those who write it: this process and others.
type world struct {
	t    *testing.T
	path string
	setting
	db *sql.DB // whose snapshots are taken

	acknowledged atomic.Int64 // the highest transaction of this process's
	stop         func()
}

// The roles of other processes, in these variables.
const (
	childPath    = "SNAPSHOT_TEST_PATH"
	childJournal = "SNAPSHOT_TEST_JOURNAL"
	childFails   = "SNAPSHOT_TEST_FAILS" // whose every fsync fails
)

func dsn(path, journal string) string {
	return fmt.Sprintf("file:%s?_journal=%s&_busy_timeout=10000&_sync=OFF&_txlock=immediate", path, journal)
}

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

func mustExec(t *testing.T, db *sql.DB, queries ...string) {
	t.Helper()
	for _, q := range queries {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// memoryDir is a directory in memory, if there is one: nothing here asks the disk.
func memoryDir(t *testing.T) string {
	t.Helper()
	if os.Getenv("TMPDIR") == "" {
		if dir, err := os.MkdirTemp("/dev/shm", "hotswap-snapshot-"); err == nil {
			t.Cleanup(func() { os.RemoveAll(dir) })
			return dir
		}
	}
	return t.TempDir()
}

// newWorld makes the database. Nobody writes it yet.
func newWorld(t *testing.T, s setting) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(memoryDir(t), "live.db"), setting: s}
	w.db = open(t, dsn(w.path, "DELETE"))
	mustExec(t, w.db, fmt.Sprint("PRAGMA page_size=", s.pageSize), "PRAGMA auto_vacuum="+s.autoVacuum, "VACUUM", "PRAGMA journal_mode="+s.journal,
		"CREATE TABLE counter(n)", "INSERT INTO counter VALUES (0)",
		"CREATE TABLE items(id INTEGER PRIMARY KEY, n, b)", "CREATE INDEX items_b ON items (substr(b, 1, 20), n)",
		"CREATE TABLE pairs(n, j, b, PRIMARY KEY (n, j)) WITHOUT ROWID", "CREATE TABLE log(n INTEGER PRIMARY KEY, op)")
	tx, err := w.db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for id := range int64(items) {
		if _, err := tx.Exec("INSERT INTO items VALUES (?, 0, ?)", id+1, content(0, id+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return w
}

// populate has the database written: by connections of this process, which spill,
// roll back, checkpoint and vacuum, by another process, and by one whose every commit
// fails at its fsync, which leaves whole frames behind that are not committed.
func (w *world) populate() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	disturb(ctx, &group, w.path, w.setting, rand.Int63(), 2, &w.acknowledged)
	others := []*testenv.Child{startChild(w, "")}
	if w.journal == "WAL" {
		others = append(others, startChild(w, "yes"))
	}
	w.stop = sync.OnceFunc(func() {
		cancel()
		group.Wait()
		for _, c := range others {
			if err := c.End(); err != nil {
				w.t.Error(err)
			}
		}
	})
	w.t.Cleanup(w.stop)
}

func startChild(w *world, fails string) *testenv.Child {
	cmd := exec.Command(os.Args[0])
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), childPath+"="+w.path, childJournal+"="+w.journal, childFails+"="+fails)
	c := testenv.Start(w.t, cmd)
	c.Line()
	return c
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func ignoreBusy(err error) error {
	var se sqlite3.Error
	if errors.As(err, &se) && (se.Code == sqlite3.ErrBusy || se.Code == sqlite3.ErrLocked) {
		return nil
	}
	return err
}

// content is that of a row as of transaction n.
func content(n, id int64) []byte {
	r := rand.New(rand.NewSource(n*1000003 + id))
	b := make([]byte, 200+r.Intn(1800))
	r.Read(b)
	return b
}

// disturb starts a number of writers and as many who checkpoint, until ctx ends.
func disturb(ctx context.Context, group *sync.WaitGroup, path string, s setting, seed int64, number int, acknowledged *atomic.Int64) {
	connect := func(extra string) *sql.DB {
		db, err := sql.Open("sqlite3", dsn(path, s.journal)+extra)
		must(err)
		db.SetMaxOpenConns(1)
		if s.mmap > 0 {
			_, err := db.Exec(fmt.Sprint("PRAGMA mmap_size=", s.mmap))
			must(ignoreBusy(err))
		}
		return db
	}
	for i := range number {
		r := rand.New(rand.NewSource(seed + int64(i)))
		group.Go(func() {
			db := connect("")
			defer db.Close()
			if i%2 == 0 {
				db.Exec("PRAGMA wal_autocheckpoint=20")
				db.Exec("PRAGMA journal_size_limit=10000")
			}
			db.Exec("PRAGMA cache_size=10") // spills
			for ctx.Err() == nil {
				n, err := write(db, r)
				must(ignoreBusy(err))
				for seen := acknowledged.Load(); n > seen && !acknowledged.CompareAndSwap(seen, n); seen = acknowledged.Load() {
				}
				pause(r, 4000)
			}
		})
		group.Go(func() {
			db := connect("&_busy_timeout=20")
			defer db.Close()
			r := rand.New(rand.NewSource(seed + 100 + int64(i)))
			for ctx.Err() == nil {
				var err error
				switch k := r.Intn(50); {
				case k == 0 && i == 0:
					_, err = db.Exec("VACUUM")
				case k < 3:
					_, err = db.Exec("PRAGMA incremental_vacuum(10)")
				default:
					mode := []string{"PASSIVE", "FULL", "RESTART", "TRUNCATE"}[r.Intn(4)]
					_, err = db.Exec("PRAGMA wal_checkpoint(" + mode + ")")
				}
				must(ignoreBusy(err))
				pause(r, 8000)
			}
		})
	}
}

// pause is of so many microseconds at most, and now and then longer.
func pause(r *rand.Rand, most int) {
	if r.Intn(50) == 0 {
		most *= 10
	}
	time.Sleep(time.Duration(r.Intn(most)) * time.Microsecond)
}

// write makes one transaction, which writes into the log what it did. It returns its
// number once it is acknowledged, 0 if it was rolled back.
func write(db *sql.DB, r *rand.Rand) (n int64, err error) {
	tx, err := db.Begin()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	if err := tx.QueryRow("UPDATE counter SET n = n + 1 RETURNING n").Scan(&n); err != nil {
		return 0, err
	}
	var op strings.Builder
	switch k := r.Intn(20); {
	case k < 14:
		for range 1 + r.Intn(30) {
			id := int64(r.Intn(items) + 1)
			if _, err := tx.Exec("UPDATE items SET b = ?, n = ? WHERE id = ?", content(n, id), n, id); err != nil {
				return 0, err
			}
			fmt.Fprintf(&op, "u%d ", id)
		}
	case k < 17:
		for j := range int64(1 + r.Intn(60)) {
			if _, err := tx.Exec("INSERT INTO pairs VALUES (?, ?, ?)", n, j, content(n, j)); err != nil {
				return 0, err
			}
			fmt.Fprintf(&op, "i%d ", j)
		}
	default:
		var from int64
		if err := tx.QueryRow("SELECT coalesce(min(n), 0) FROM pairs").Scan(&from); err != nil {
			return 0, err
		}
		to := from + int64(r.Intn(60))
		if _, err := tx.Exec("DELETE FROM pairs WHERE n <= ?", to); err != nil {
			return 0, err
		}
		fmt.Fprintf(&op, "d%d ", to)
	}
	if _, err := tx.Exec("INSERT INTO log VALUES (?, ?)", n, op.String()); err != nil {
		return 0, err
	}
	if r.Intn(10) == 0 { // spilled, and rolled back
		tx.Exec("UPDATE items SET b = zeroblob(3000)")
		return 0, nil
	}
	return n, tx.Commit()
}
