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

// TestNobodyWaitsForAConnectionThatReconnects except its own user, and that one no
// longer than its context lasts; and the connect hook may call the Database.
func TestNobodyWaitsForAConnectionThatReconnects(t *testing.T) {
	var d *driver.Database // set before the hook reads it
	began, end := make(chan struct{}), make(chan struct{})

	path := filepath.Join(t.TempDir(), "x.sqlite3")
	db, err := sql.Open(register(t, driver.WithConnectHook(func(*sqlite3.SQLiteConn) error {
		if d != nil {
			began <- struct{}{}
			<-end
			if n := d.Stats().Connections; n != 1 {
				t.Errorf("%d connections", n)
			}
		}
		return nil
	})), "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
	conn := connect(t, db)
	managed, _ := driver.Lookup(path)
	mustFreeze(t, managed, driver.FreezeOptions{}).Thaw()
	d = managed

	var wg sync.WaitGroup
	wg.Go(func() {
		if n, err := inside.Of(d).Reconnect(); n != 1 || err != nil {
			t.Errorf("reconnected %d, %v", n, err)
		}
	})
	<-began
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if h := d.Holders(); len(h) != 1 {
			t.Errorf("held by %v", h)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := conn.PingContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its user: %v", err)
		}
		_, err := d.Freeze(t.Context(), driver.FreezeOptions{Timeout: 10 * time.Millisecond})
		var held *driver.HeldError
		if !errors.As(err, &held) {
			t.Errorf("a freeze: %v", err)
		}
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Error("somebody waits for the one that reconnects")
	}
	frozen := make(chan error, 1)
	wg.Go(func() {
		f, err := d.Freeze(t.Context(), driver.FreezeOptions{})
		if err == nil {
			f.Thaw()
		}
		frozen <- err
	})
	close(end)
	if err := <-frozen; err != nil {
		t.Errorf("a freeze that waited for it: %v", err)
	}
	wg.Wait()
	go func() { <-began }()
	if err := conn.PingContext(t.Context()); err != nil {
		t.Error(err)
	}
}
