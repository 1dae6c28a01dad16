package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

var kills = flag.Int("kills", testenv.Sample(4, 8), "how many processes to kill in the midst of their pushes, in each journal mode")

// killVictim is the role of a child process; the variable holds its directory.
const killVictim = "HOTSWAP_TEST_KILL_VICTIM"

func TestMain(m *testing.M) {
	testenv.NoPeers()
	if dir := os.Getenv(killVictim); dir != "" {
		fmt.Println(victim(dir, os.Getenv("HOTSWAP_TEST_KILL_JOURNAL")))
		os.Exit(1) // it should have been killed
	}
	if dsn := os.Getenv(otherProcess); dsn != "" {
		if kind := os.Getenv(otherLoop); kind != "" {
			serveLoop(kind, dsn)
		} else {
			serveOther(dsn)
		}
		return
	}
	if code, ran := testenv.OwnProcesses(); ran {
		os.Exit(code)
	}
	testenv.Parallel(10)
	os.Exit(m.Run())
}

// victim pushes one database after another over a pool that writes all the
// time. Every write that was acknowledged goes to a log, with the stamp of the
// database that it went into.
func victim(dir, journal string) error {
	path := filepath.Join(dir, "live.sqlite3")
	pool, err := sql.Open(driver.Name, "file:"+path+"?_txlock=immediate&_journal="+journal)
	if err != nil {
		return err
	}
	acks, err := os.OpenFile(filepath.Join(dir, "acks"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	image, err := os.ReadFile(filepath.Join(dir, "image"))
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() {
		for seq := os.Getpid() * 1_000_000; ; seq++ {
			stamp, err := acknowledgedWrite(pool, seq)
			if err != nil {
				failed <- err
				return
			}
			fmt.Fprintf(acks, "%d %s\n", seq, stamp)
		}
	}()
	go func() {
		db, _ := driver.Lookup(path)
		for i := 0; ; i++ {
			stamp := fmt.Sprintf("%d-%06d", os.Getpid(), i)
			_, err := swapper.Push(context.Background(), db, bytes.NewReader(image), swapper.PushOptions{
				Prepare: func(ctx context.Context, db *sql.DB) error {
					_, err := db.ExecContext(ctx, "UPDATE items SET stamp = ?", stamp)
					return err
				},
				Backup: i%2 == 0,
			})
			if err != nil {
				failed <- err
				return
			}
			if i == 0 {
				fmt.Println("ready")
			}
		}
	}()
	return <-failed
}

func acknowledgedWrite(pool *sql.DB, seq int) (stamp string, err error) {
	tx, err := pool.Begin()
	if err != nil {
		return "", err
	}
	defer tx.Rollback()
	if err := tx.QueryRow("SELECT stamp FROM items LIMIT 1").Scan(&stamp); err != nil {
		return "", err
	}
	if _, err := tx.Exec("INSERT INTO acks (seq, stamp) VALUES (?, ?)", seq, stamp); err != nil {
		return "", err
	}
	return stamp, tx.Commit()
}

// TestAKilledPushLeavesTheOldOrTheNewDatabase kills processes with SIGKILL at
// moments of chance. What is left must be one whole database with every write
// that was acknowledged in it, and must not keep the next push from its work.
func TestAKilledPushLeavesTheOldOrTheNewDatabase(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "live.sqlite3")
			makeDatabase(t, path, "first", 300)
			db, err := sql.Open("sqlite3", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec("CREATE TABLE acks (seq INTEGER PRIMARY KEY, stamp TEXT)"); err != nil {
				t.Fatal(err)
			}
			db.Close()
			image, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "image"), image, 0o600); err != nil {
				t.Fatal(err)
			}
			left := map[string]int{}
			for range *kills {
				killOne(t, dir, journal)
				for _, kind := range leftovers(t, dir) {
					left[kind]++
				}
				checkSurvivor(t, dir)
				if t.Failed() {
					return
				}
			}
			t.Logf("left behind by %d kills, and removed: %v", *kills, left)
			pool, err := sql.Open(driver.Name, path)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			live, _ := driver.Lookup(path)
			if _, err := swapper.Push(context.Background(), live, bytes.NewReader(image), swapper.PushOptions{}); err != nil {
				t.Error(err)
			}
			if more := leftovers(t, dir); len(more) > 0 {
				t.Errorf("a push left others' files: %v", more)
			}
		})
	}
}

func killOne(t *testing.T, dir, journal string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killVictim+"="+dir, "HOTSWAP_TEST_KILL_JOURNAL="+journal)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, len("ready\n"))
	if _, err := io.ReadFull(out, first); err != nil || string(first) != "ready\n" {
		rest, _ := io.ReadAll(out)
		t.Fatalf("the process did not come to its work: %s%s", first, rest)
	}
	time.Sleep(rand.N(25 * time.Millisecond)) // some moment of some push
	cmd.Process.Kill()
	rest, _ := io.ReadAll(out)
	cmd.Wait()
	if len(rest) > 0 {
		t.Errorf("before it was killed it failed: %s", rest)
	}
}

func leftovers(t *testing.T, dir string) (kinds []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		kinds = append(kinds, n[strings.LastIndexByte(n, '.')+1:])
	}
	return kinds
}

func checkSurvivor(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite3", filepath.Join(dir, "live.sqlite3"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var check, stamp string
	var stamps int
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		t.Fatalf("integrity_check: %s, %v", check, err)
	}
	if err := db.QueryRow("SELECT count(DISTINCT stamp), max(stamp) FROM items").Scan(&stamps, &stamp); err != nil || stamps != 1 {
		t.Fatalf("%d databases in one, %v", stamps, err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "acks"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		var seq int
		var into string
		if n, _ := fmt.Sscan(line, &seq, &into); n != 2 || into != stamp {
			continue // in a database that was replaced, or cut by the kill
		}
		var found int
		if err := db.QueryRow("SELECT count(*) FROM acks WHERE seq = ? AND stamp = ?", seq, stamp).Scan(&found); err != nil || found != 1 {
			t.Fatalf("write %d into %s was acknowledged and is there %d times, %v", seq, stamp, found, err)
		}
	}
}
