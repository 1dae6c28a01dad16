package driver_test

import (
	"database/sql"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/lognote"
	"hotswap/internal/testenv"
)

// fullPipe is a log that nobody reads, until the test is over.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
	for err == nil {
		_, err = w.Write(make([]byte, 4096))
	}
	w.SetWriteDeadline(time.Time{})
	t.Cleanup(func() {
		go io.Copy(io.Discard, r)
		lognote.Flush(time.Minute)
		w.Close()
		r.Close()
	})
	return w
}

func TestNoCallWaitsForALogThatNobodyReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	db, err := sql.Open(register(t, driver.WithLogger(zerolog.New(fullPipe(t)))), "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
	d, ok := driver.Lookup(path)
	if !ok {
		t.Fatal("not managed")
	}
	d.OnSwap(func(driver.Swap) { panic("a user's mistake") }) // which is logged
	for range 3 {
		f := mustFreeze(t, d, driver.FreezeOptions{})
		const callers = 20
		done := make(chan error, callers)
		for range callers {
			go func() { _, err := db.Exec("INSERT INTO t (v) VALUES ('x')"); done <- err }()
		}
		testenv.Until(t, "all wait", func() bool { return d.Stats().Waiting == callers })
		f.Replaced()
		f.Thaw()
		for range callers {
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
			case <-time.After(time.Minute):
				t.Fatal("a call waits for the log")
			}
		}
	}
}
