package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/door"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

var looks = flag.Int("looks", testenv.Sample(12, 6), "of how many looks at its context an operation is ended at one")

// looked is a context that ends at the n-th look at it.
type looked struct {
	context.Context
	end   context.CancelFunc
	looks atomic.Int64
	at    int64
}

func endingAt(t *testing.T, n int) *looked {
	ctx, end := context.WithCancel(t.Context())
	return &looked{Context: ctx, end: end, at: int64(n)}
}

func (l *looked) look() {
	if l.looks.Add(1) == l.at {
		l.end()
	}
}

func (l *looked) Done() <-chan struct{} { l.look(); return l.Context.Done() }
func (l *looked) Err() error            { l.look(); return l.Context.Err() }

// TestAnEndAtAnyMomentLeavesNothingClosedOrOpen has the context end at the first
// look that is taken at it, at the second, and so on: what was had in that moment is
// given back, the door to the path first of all, behind which every call would wait.
func TestAnEndAtAnyMomentLeavesNothingClosedOrOpen(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		for name, operate := range map[string]func(ctx context.Context, s *service, stamp string) (swapped bool, err error){
			"rename": func(ctx context.Context, s *service, stamp string) (bool, error) {
				r, err := swapper.Push(ctx, s.db, bytes.NewReader(source(t, stamp)), swapper.PushOptions{Source: "test", Method: swapper.MethodRename})
				return r.Swapped, err
			},
			"in place": func(ctx context.Context, s *service, stamp string) (bool, error) {
				r, err := swapper.Push(ctx, s.db, bytes.NewReader(source(t, stamp)), swapper.PushOptions{Source: "test", Method: swapper.MethodInPlace, Backup: true})
				return r.Swapped, err
			},
			"pull": func(ctx context.Context, s *service, _ string) (bool, error) {
				_, err := swapper.Pull(ctx, s.db, io.Discard, swapper.PullOptions{})
				return false, err
			},
		} {
			t.Run(journal+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := start(t, t.TempDir(), "&_journal="+journal)
				attacher := s.attach(side(t))
				stamp, ends := "live", 0
				for n := 1; ; n += *looks {
					next := fmt.Sprint("new ", n)
					ctx := endingAt(t, n)
					swapped, err := operate(ctx, s, next)
					reached := ctx.looks.Load() >= int64(n)
					ctx.end()
					if swapped {
						stamp = next
					}
					if err != nil && (!reached || !errors.Is(err, context.Canceled)) {
						t.Fatalf("look %d: %v", n, err)
					}
					if err != nil {
						ends++
					}
					s.works(n, stamp, attacher)
					if !reached {
						break
					}
				}
				t.Logf("%d of the looks ended it", ends)
				if ends == 0 {
					t.Error("none of the looks ended it")
				}
			})
		}
	}
}

// works fails unless the program's calls and those of others go on, in the database
// with that stamp.
func (s *service) works(n int, stamp string, attacher *sql.DB) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.pool.ExecContext(ctx, "UPDATE items SET stamp = stamp"); err != nil {
		s.t.Fatalf("look %d: a write after it: %v", n, err)
	}
	if got := s.stamp(); got != stamp {
		s.t.Fatalf("look %d: %q is live, want %q", n, got, stamp)
	}
	if got := attached(s.t, attacher); got != stamp {
		s.t.Fatalf("look %d: the attacher reads %q", n, got)
	}
	plain, err := sql.Open("sqlite3", s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	var rows int
	err = plain.QueryRowContext(ctx, "SELECT count(*) FROM items").Scan(&rows)
	plain.Close()
	if err != nil {
		s.t.Fatalf("look %d: another driver's read after it: %v", n, err)
	}
	frozen, err := s.db.Freeze(ctx, driver.FreezeOptions{})
	if err != nil {
		s.t.Fatalf("look %d: a freeze after it: %v", n, err)
	}
	defer frozen.Thaw()
	if open := door.Open(s.path); len(open) != 1 { // the attacher's
		s.t.Fatalf("look %d: with all connections closed these are left open: %+v", n, open)
	}
}
