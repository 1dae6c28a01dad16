package driver_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

func TestWritersTakeTurnsAndNoneIsBusy(t *testing.T) {
	db, d := open(t, "", 1)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				tx, err := db.Begin()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := tx.Exec("UPDATE t SET v = v || 'x'"); err != nil {
					t.Error(err)
				}
				if err := tx.Commit(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		swap(t, d)
	}
	wg.Wait()
	var n int
	if err := db.QueryRow("SELECT length(v) - length('row 1') FROM t").Scan(&n); err != nil || n != 400 {
		t.Errorf("%d updates, %v; want 400", n, err)
	}
}

// TestAWriterWithinAWriter: the queue is not a lock. Whoever holds the write lock and
// asks for it again gets SQLite's answer, after SQLite's busy timeout.
func TestAWriterWithinAWriter(t *testing.T) {
	db, _ := open(t, "&_busy_timeout=50", 1)
	first, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Begin()
	var se sqlite3.Error
	if !errors.As(err, &se) || se.Code != sqlite3.ErrBusy {
		t.Errorf("got %v, want SQLITE_BUSY", err)
	}
	begin := func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_, err := db.BeginTx(ctx, nil)
		return err
	}
	err = begin()
	// On a machine that stands still for the queue's patience, that may end first.
	for tries := 1; !errors.Is(err, context.DeadlineExceeded) && tries < 10; tries++ {
		err = begin()
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := first.Commit(); err != nil {
		t.Fatal(err)
	}
	third, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	third.Rollback()
}

// TestTheQueuesPlaceIsGivenBack by every end that a transaction can come to.
func TestTheQueuesPlaceIsGivenBack(t *testing.T) {
	db, d := open(t, "", 1)
	ctx := context.Background()
	ends := map[string]func(){
		"a forced freeze": func() {
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			mustFreeze(t, d, driver.FreezeOptions{Timeout: time.Millisecond, Force: true}).Thaw()
			tx.Rollback()
		},
		"its context's end": func() {
			ctx, cancel := context.WithCancel(ctx)
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			cancel()
			for tx.Commit() == nil {
				t.Error("committed")
			}
		},
		"a BEGIN that fails": func() {
			conn, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			mustExec(t, conn, "BEGIN")
			if _, err := conn.BeginTx(ctx, nil); err == nil {
				t.Error("a transaction in a transaction")
			}
			mustExec(t, conn, "ROLLBACK")
		},
	}
	for name, end := range ends {
		end()
		// A place that was not given back costs each one behind it twice its patience;
		// three in a row show that, without a clock.
		for range 3 {
			tx, err := db.Begin()
			if err != nil {
				t.Fatalf("after %s: %v", name, err)
			}
			if n := driver.QueuedWriters(d); n != 1 {
				t.Errorf("after %s: %d have the place during a transaction", name, n)
			}
			tx.Rollback()
			if n := driver.QueuedWriters(d); n != 0 {
				t.Errorf("after %s: the place is still taken", name)
			}
		}
	}
}
