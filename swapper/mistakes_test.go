package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/swapper"
)

// TestWhatPrepareAndValidateLeaveOpenIsRefused: it would keep the push waiting for
// ever, or the new file open after it.
func TestWhatPrepareAndValidateLeaveOpenIsRefused(t *testing.T) {
	t.Parallel()
	leave := map[string]func(context.Context, *sql.DB) error{
		"rows": func(ctx context.Context, db *sql.DB) error {
			rows, err := db.QueryContext(ctx, "SELECT * FROM items")
			if err != nil || !rows.Next() {
				return fmt.Errorf("no rows: %w", err)
			}
			return nil
		},
		"connection": func(ctx context.Context, db *sql.DB) error { _, err := db.Conn(ctx); return err },
		"transaction": func(ctx context.Context, db *sql.DB) error {
			tx, err := db.BeginTx(context.Background(), nil)
			if err == nil {
				_, err = tx.Exec("SELECT count(*) FROM items")
			}
			return err
		},
	}
	for what, opts := range map[string]swapper.PushOptions{
		"prepare, rows": {Prepare: leave["rows"]}, "validate, rows": {Validate: leave["rows"]},
		"prepare, connection": {Prepare: leave["connection"]}, "validate, transaction": {Validate: leave["transaction"]},
	} {
		t.Run(what, func(t *testing.T) {
			s := start(t, t.TempDir(), "_journal=WAL")
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, err := swapper.Push(ctx, s.db, bytes.NewReader(source(t, "new")), opts)
			if !errors.Is(err, swapper.ErrBadDatabase) || !strings.Contains(err.Error(), "open") {
				t.Errorf("got %v", err)
			}
			if got := s.stamp(); got != "live" {
				t.Error(got)
			}
			s.onlyFiles()
		})
	}
}

// panickingReader is a source whose Read panics after its first bytes.
type panickingReader struct{ first *bytes.Reader }

func (r panickingReader) Read(p []byte) (int, error) {
	if r.first.Len() == 0 {
		panic("a user's mistake")
	}
	return r.first.Read(p)
}

// TestAPanicOfTheProgramsFunctionsLeavesNothingBehind and keeps no further push from
// its turn.
func TestAPanicOfTheProgramsFunctionsLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "_journal=WAL")
	data := source(t, "new")
	mistake := func(context.Context, *sql.DB) error { panic("a user's mistake") }
	for what, push := range map[string]func(){
		"source":   func() { swapper.Push(t.Context(), s.db, panickingReader{bytes.NewReader(data)}, swapper.PushOptions{}) },
		"prepare":  func() { s.push(data, swapper.PushOptions{Prepare: mistake}) },
		"validate": func() { s.push(data, swapper.PushOptions{Validate: mistake}) },
	} {
		t.Run(what, func(t *testing.T) {
			func() {
				defer func() {
					if recover() == nil {
						t.Error("no panic")
					}
				}()
				push()
			}()
			s.onlyFiles()
			if got := s.stamp(); got != "live" {
				t.Error(got)
			}
		})
	}
	s.mustPush(data, swapper.PushOptions{Method: swapper.MethodRename})
}

// TestAFunctionThatEndsItsGoroutineRefusesThePush, as testing.T's FailNow does in one.
func TestAFunctionThatEndsItsGoroutineRefusesThePush(t *testing.T) {
	t.Parallel()
	var hooked atomic.Bool
	s := startWith(t, "", driver.WithConnectHook(func(*sqlite3.SQLiteConn) error {
		if hooked.Load() {
			runtime.Goexit()
		}
		return nil
	}))
	mistake := func(context.Context, *sql.DB) error { runtime.Goexit(); return nil }
	s.refuses(swapper.PushOptions{Prepare: mistake}, swapper.ErrBadDatabase, "runtime.Goexit")
	s.refuses(swapper.PushOptions{Validate: mistake}, swapper.ErrBadDatabase, "runtime.Goexit")
	s.stamp()
	hooked.Store(true)
	for _, skip := range []bool{false, true} {
		r, err := s.push(source(t, "new"), swapper.PushOptions{SkipIntegrityCheck: skip})
		if !errors.Is(err, swapper.ErrBadDatabase) || r.Swapped || !strings.Contains(err.Error(), "runtime.Goexit") {
			t.Errorf("%+v, %v", r, err)
		}
	}
	hooked.Store(false)
	s.mustPush(source(t, "new"), swapper.PushOptions{})
}

// TestAFunctionThatNeverReturnsKeepsNoCancelledPush.
func TestAFunctionThatNeverReturnsKeepsNoCancelledPush(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	release := make(chan struct{})
	defer close(release)
	for _, during := range []string{"prepare", "validate"} {
		ctx, cancel := context.WithCancel(t.Context())
		hangs := func(context.Context, *sql.DB) error { cancel(); <-release; return nil }
		opts := swapper.PushOptions{Prepare: hangs}
		if during == "validate" {
			opts = swapper.PushOptions{Validate: hangs}
		}
		if r, err := swapper.Push(ctx, s.db, bytes.NewReader(source(t, "new")), opts); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %+v, %v", during, r, err)
		}
	}
	s.onlyFiles()
	s.mustPush(source(t, "new"), swapper.PushOptions{})
}
