package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// swaps are those that OnSwap callbacks got.
func (r *replaced) swaps() <-chan driver.Swap {
	r.t.Helper()
	told := make(chan driver.Swap, 10)
	r.t.Cleanup(r.db.OnSwap(func(s driver.Swap) { told <- s }))
	return told
}

func within[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

// TestTheOldFileServesUntilAWholeOneIsThere: as untar, docker cp and curl -o write it:
// removed, created empty, and filled in pieces.
func TestTheOldFileServesUntilAWholeOneIsThere(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			r := startReplaced(t, journal)
			r.pool.SetMaxOpenConns(1)
			content, err := os.ReadFile(r.next)
			if err != nil {
				t.Fatal(err)
			}
			serves := func(after string, ticks uint64) {
				t.Helper()
				for began := driver.Ticks(r.db); driver.Ticks(r.db) < began+ticks; time.Sleep(10 * time.Millisecond) {
					if got := stamps(t, r.pool); got != "old 70" {
						t.Fatalf("after it was %s: %s", after, got)
					}
				}
			}
			if err := os.Remove(r.live); err != nil {
				t.Fatal(err)
			}
			serves("removed", 1)
			f, err := os.Create(r.live)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			serves("made empty", 3)
			if r.db.Warning() == "" || !strings.Contains(r.log.String(), "is not used") {
				t.Errorf("nobody is told: %q, %s", r.db.Warning(), r.log)
			}
			for _, n := range []int{50, 5000} {
				if _, err := f.Write(content[:n]); err != nil {
					t.Fatal(err)
				}
				content = content[n:]
				serves(fmt.Sprintf("filled by %d bytes", n), 2)
			}
			if _, err := f.Write(content); err != nil {
				t.Fatal(err)
			}
			r.adopted()
			if got := stamps(t, r.pool); got != "new 50" {
				t.Error(got)
			}
			if w := r.db.Warning(); w != "" {
				t.Errorf("warned still: %s", w)
			}
			r.write()
			r.sound()
		})
	}
}

// TestABrokenFileIsKeptOut, and the next whole one is adopted.
func TestABrokenFileIsKeptOut(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func([]byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut":     func(b []byte) []byte { return b[:len(b)-4096] },
		"garbage": func(b []byte) []byte { return []byte(strings.Repeat("no database ", len(b)/12)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReplaced(t, "WAL")
			content, err := os.ReadFile(r.next)
			if err != nil {
				t.Fatal(err)
			}
			bad := r.live + ".bad"
			if err := os.WriteFile(bad, spoil(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(bad, r.live); err != nil {
				t.Fatal(err)
			}
			testenv.Until(t, "the log warns", func() bool { return strings.Contains(r.log.String(), "is not used") })
			if got := stamps(t, r.pool); got != "old 70" {
				t.Error(got)
			}
			r.write() // into the old one
			if w := r.db.Warning(); w == "" {
				t.Error("no warning")
			}
			// A connection that has to be opened gets an error that says so.
			pinned := connect(t, r.pool)
			defer pinned.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if _, err := r.pool.Conn(ctx); !errors.Is(err, driver.ErrReplaced) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a new connection: %v", err)
			}
			r.mv()
			r.adopted()
			pinned.Close()
			if got := stamps(t, r.pool); got != "new 50" {
				t.Error(got)
			}
		})
	}
}

// TestALoopThatQueriesInsideItsRowsGoesOnOverAReplacement: the inner query is an idle
// connection's first use, by the goroutine that holds the Rows.
func TestALoopThatQueriesInsideItsRowsGoesOnOverAReplacement(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	r.pool.SetMaxIdleConns(4)
	a, b := connect(t, r.pool), connect(t, r.pool)
	for _, c := range []*sql.Conn{a, b} {
		if err := c.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	ticks := driver.Ticks(r.db)
	testenv.Until(t, "somebody looked", func() bool { return driver.Ticks(r.db) > ticks })
	rows, err := r.pool.Query("SELECT id FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		if n++; n == 1 {
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(r.next, old, old); err != nil { // nobody writes to it
				t.Fatal(err)
			}
			r.mv()
			driver.Ticked(r.db) // makes the idle connection check the file
		}
		var most int
		if err := r.pool.QueryRow("SELECT max(id) FROM t").Scan(&most); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil || n != 70 {
		t.Errorf("%d rows, %v", n, err)
	}
	rows.Close()
	r.adopted()
	if got := stamps(t, r.pool); got != "new 50" {
		t.Error(got)
	}
}

// TestOnSwapMayQueryWithThePoolsOnlyConnection: even if that connection's first use
// after idling was what saw the replaced file.
func TestOnSwapMayQueryWithThePoolsOnlyConnection(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	r.pool.SetMaxOpenConns(1)
	read := make(chan string, 1)
	defer r.db.OnSwap(func(driver.Swap) {
		var s string
		if err := r.pool.QueryRow("SELECT group_concat(DISTINCT stamp) FROM t").Scan(&s); err != nil {
			s = err.Error()
		}
		read <- s
	})()
	ticks := driver.Ticks(r.db)
	testenv.Until(t, "somebody looked", func() bool { return driver.Ticks(r.db) > ticks })
	driver.StopTicking(r.db)
	r.mv()
	if got := stamps(t, r.pool); got != "new 50" {
		t.Errorf("the first use reads %s", got)
	}
	if got := within(t, "the callback", read); got != "new" {
		t.Errorf("the callback reads %s", got)
	}
}

// TestThePoolsEndIsTheWatchsEnd: even if it refuses another file.
func TestThePoolsEndIsTheWatchsEnd(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL", driver.WithExternalReplace(driver.RefuseReplaced))
	r.mv()
	testenv.Eventually(t, func() error {
		if err := r.pool.Ping(); !errors.Is(err, driver.ErrReplaced) {
			return fmt.Errorf("not refused yet: %v", err)
		}
		return nil
	})
	if err := r.pool.Close(); err != nil {
		t.Fatal(err)
	}
	if driver.Watched(r.db) {
		t.Error("it is still looked after")
	}
	// The next pool begins with what is there.
	pool, err := sql.Open(driver.Name, r.live)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if got := stamps(t, pool); got != "new 50" {
		t.Error(got)
	}
}
