package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/testenv"
)

// The others would take the processors, and the time, of the one that is waited for.
func TestAllCallsWaitWhileTheGateWaitsForAConnectionThatIsBeingReopened(t *testing.T) {
	var slow atomic.Bool
	opening, release := make(chan struct{}), make(chan struct{})
	name := register(t, driver.WithConnectHook(func(*sqlite3.SQLiteConn) error {
		if slow.CompareAndSwap(true, false) {
			close(opening)
			<-release
		}
		return nil
	}))
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	db, err := sql.Open(name, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := t.Context()
	conns := make([]*sql.Conn, 8)
	for i := range conns {
		if conns[i], err = db.Conn(ctx); err != nil {
			t.Fatal(err)
		}
		defer conns[i].Close()
	}
	d, _ := driver.Lookup(path)
	mustFreeze(t, d, driver.FreezeOptions{}).Thaw()
	for _, c := range conns[1:] {
		if err := c.PingContext(ctx); err != nil {
			t.Fatal(err)
		}
	}
	reconnected := make(chan error, 1)
	reopen := func(e driver.FreezeEvent) {
		if e.Step != driver.FreezeWaiting {
			return
		}
		slow.Store(true)
		go func() {
			_, err := inside.Of(d).Reconnect() // the only one left
			reconnected <- err
		}()
		<-opening
	}
	marked := driver.Marked(d)
	frozen := make(chan *driver.Frozen, 1)
	go func() {
		f, err := d.Freeze(ctx, driver.FreezeOptions{Notify: reopen})
		if err != nil {
			t.Error(err)
		}
		frozen <- f
	}()
	testenv.Eventually(t, func() error {
		if n := marked(); n != len(conns) {
			return fmt.Errorf("%d of %d connections are marked", n, len(conns))
		}
		return nil
	})
	close(release)
	if err := <-reconnected; err != nil {
		t.Error(err)
	}
	if f := <-frozen; f != nil {
		f.Thaw()
	}
}

func TestAConnectionThatIsOpenedWhileWritesWaitWaitsWithItsWrites(t *testing.T) {
	for name, write := range map[string]func(context.Context, *sql.Conn) error{
		"INSERT": func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, "INSERT INTO t (v) VALUES ('x')")
			return err
		},
		"BEGIN by text": func(ctx context.Context, c *sql.Conn) error {
			_, err := c.ExecContext(ctx, "BEGIN; ROLLBACK")
			return err
		},
		"BeginTx": func(ctx context.Context, c *sql.Conn) error {
			tx, err := c.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			return tx.Rollback()
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, d := open(t, "", 1)
			ctx := t.Context()
			db.SetMaxOpenConns(2)
			one, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			defer one.Close()
			f := mustFreeze(t, d, inside.Extend(driver.FreezeOptions{}, inside.FreezeOptions{WritesOnly: true}))
			other, err := db.Conn(ctx) // there is none in the pool
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			var n int
			if err := other.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&n); err != nil {
				t.Fatal(err)
			}
			written := make(chan error, 1)
			go func() { written <- write(ctx, other) }()
			testenv.Eventually(t, func() error {
				select {
				case err := <-written:
					t.Fatalf("it did not wait: %v", err)
				default:
				}
				if waiting := d.Stats().Waiting; waiting != 1 {
					return fmt.Errorf("%d calls wait", waiting)
				}
				return nil
			})
			f.Thaw()
			if err := <-written; err != nil {
				t.Error(err)
			}
		})
	}
}
