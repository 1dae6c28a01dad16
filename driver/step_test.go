package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// longStep is a step of open Rows that does not return until end is called and can't be
// interrupted, while no call of the connection is running.
type longStep struct {
	pool  *sql.DB
	db    *driver.Database
	end   func()
	ended chan error // gets the error of the Rows
}

func startStep(t *testing.T) *longStep {
	t.Helper()
	began, end := make(chan struct{}), make(chan struct{})
	begin := sync.OnceFunc(func() { close(began) })
	name := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		return c.RegisterFunc("wait", func(n int64) int64 {
			if n == 2 {
				begin()
				<-end
			}
			return n
		}, false)
	}))
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	pool, err := sql.Open(name, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	mustExec(t, pool, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
	mustExec(t, pool, "INSERT INTO t VALUES (1), (2)")
	s := &longStep{pool: pool, end: sync.OnceFunc(func() { close(end) }), ended: make(chan error, 1)}
	s.db, _ = driver.Lookup(path)
	rows, err := pool.Query("SELECT wait(id) FROM t")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for rows.Next() {
		}
		s.ended <- errors.Join(rows.Err(), rows.Close())
	}()
	t.Cleanup(s.end) // before the pool is closed
	<-began
	return s
}

// TestNobodyWaitsForAStepOfOpenRows: SQLite's mutex of that connection is held for as
// long as the step lasts.
func TestNobodyWaitsForAStepOfOpenRows(t *testing.T) {
	s := startStep(t)
	reopened := make(chan struct{})
	frozen := make(chan error, 1)
	once := sync.OnceFunc(func() { close(reopened) })
	go func() {
		f, err := s.db.Freeze(t.Context(), driver.FreezeOptions{Notify: func(e driver.FreezeEvent) {
			if e.Step == driver.FreezeGateReopened {
				once()
			}
		}})
		if err == nil {
			f.Thaw()
		}
		frozen <- err
	}()
	select {
	case <-reopened:
	case <-time.After(10 * time.Second):
		t.Fatal("the gate stays closed for as long as the step lasts")
	}
	if err := s.pool.PingContext(t.Context()); err != nil { // on a new connection
		t.Error(err)
	}
	if h := s.db.Holders(); len(h) != 1 || h[0].Kind != driver.HoldRows {
		t.Errorf("held by %v", h)
	}
	s.end()
	if err := <-frozen; err != nil {
		t.Error(err)
	}
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
}

func TestAForcedFreezeDoesNotWaitForAStepThatCantBeInterrupted(t *testing.T) {
	s := startStep(t)
	tx, err := s.pool.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	mustExec(t, tx, "INSERT INTO t VALUES (3)")
	ctx, cancel := context.WithCancel(t.Context())
	frozen := make(chan error, 1)
	go func() {
		f, err := s.db.Freeze(ctx, driver.FreezeOptions{Timeout: 10 * time.Millisecond, Force: true, Notify: func(e driver.FreezeEvent) {
			if e.Step == driver.FreezeGateClosed && e.Window >= time.Second { // by force; else it would wait for its grace
				cancel()
			}
		}})
		if err == nil {
			f.Thaw()
		}
		frozen <- err
	}()
	select {
	case err := <-frozen:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the gate stays closed for as long as the step lasts")
	}
	s.end()
	<-s.ended // with an error, if it was interrupted by then
	if err := tx.Commit(); err != nil {
		t.Errorf("the transaction beside them: %v", err)
	}
}

// TestATransactionWithOpenRowsIsKnownForOne: before new content is written in place,
// writes wait for it, but not for a mere reader.
func TestATransactionWithOpenRowsIsKnownForOne(t *testing.T) {
	for how, begin := range map[string][]string{
		"by SQL text": {"BEGIN"}, "by a savepoint": {"/* */ SAVEPOINT s"}, "none": {}, "one that ended": {"BEGIN", "COMMIT"},
	} {
		t.Run(how, func(t *testing.T) {
			db, d := open(t, "", 2)
			conn := connect(t, db)
			for _, text := range begin {
				mustExec(t, conn, text)
			}
			rows, err := conn.QueryContext(t.Context(), "SELECT id FROM t")
			if err != nil || !rows.Next() {
				t.Fatal(err)
			}
			defer rows.Close()
			f := mustFreeze(t, d, inside.Extend(driver.FreezeOptions{MaxPause: time.Millisecond}, inside.FreezeOptions{WritesOnly: true}))
			defer f.Thaw()
			if len(f.Holders) != len(begin)%2 {
				t.Errorf("waited for %v", f.Holders)
			}
		})
	}
}
