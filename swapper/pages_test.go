package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"hotswap/swapper"
)

// smallSources are so small that one or two steps of a copy are all of it.
var smallSources = map[string][]string{
	"one page":    {"PRAGMA user_version=7"},
	"two pages":   {"PRAGMA user_version=7", "CREATE TABLE only (x)"},
	"three pages": {"PRAGMA user_version=7", "CREATE TABLE only (x)", "CREATE INDEX only_x ON only (x)"},
}

func smallSource(t testing.TB, statements []string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "small.sqlite3")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != len(statements)*4096 {
		t.Fatalf("the source has %d bytes", len(data))
	}
	return data
}

// userVersion tells the small sources, of which it is 7, from the live database.
func userVersion(t testing.TB, db *sql.DB) (v int) {
	t.Helper()
	if err := db.QueryRow("PRAGMA user_version").Scan(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestASourceOfAPageOrTwoIsCopiedOnlyOnceTheOldIsKept(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		for name, statements := range smallSources {
			t.Run(mode+", "+name, func(t *testing.T) {
				s := start(t, t.TempDir(), "&_journal="+mode)
				old := digest(t, s.pool)
				r := s.mustPush(smallSource(t, statements), swapper.PushOptions{Method: swapper.MethodInPlace, Backup: true, SkipSchemaCheck: true})
				if !r.Swapped || r.Method != swapper.MethodInPlace || userVersion(t, s.pool) != 7 {
					t.Errorf("%+v", r)
				}
				kept, err := os.ReadFile(r.BackupPath)
				if err != nil {
					t.Fatal(err)
				}
				if contentOf(t, kept) != old {
					t.Error("the backup is not the old content")
				}
			})
		}
	}
}

// cancelledAt is a context that is cancelled when it is asked for its error for
// the nth time.
type cancelledAt struct {
	context.Context
	cancel context.CancelFunc
	n      atomic.Int64 // database/sql asks on goroutines of its own, too
}

func newCancelledAt(ctx context.Context, n int) *cancelledAt {
	c := &cancelledAt{}
	c.Context, c.cancel = context.WithCancel(ctx)
	c.n.Store(int64(n))
	return c
}

func (c *cancelledAt) Err() error {
	if c.n.Add(-1) == 0 {
		c.cancel()
	}
	return c.Context.Err()
}

// TestAPushThatIsCancelledSaysWhatTheDatabaseHolds, wherever that is.
func TestAPushThatIsCancelledSaysWhatTheDatabaseHolds(t *testing.T) {
	for _, mode := range []string{"WAL", "DELETE"} {
		for name, statements := range smallSources {
			t.Run(mode+", "+name, func(t *testing.T) {
				t.Parallel()
				data := smallSource(t, statements)
				s := start(t, t.TempDir(), "&_journal="+mode)
				before := digest(t, s.pool)
				for n := 1; ; n++ {
					ctx := newCancelledAt(t.Context(), n)
					r, err := swapper.Push(ctx, s.db, bytes.NewReader(data), swapper.PushOptions{
						Method: swapper.MethodInPlace, Backup: true, SkipSchemaCheck: true, SkipIntegrityCheck: true,
					})
					ctx.cancel()
					if isNew := userVersion(t, s.pool) == 7; isNew != r.Swapped {
						t.Fatalf("cancelled at look %d it says swapped %t: %v; the database is the new one: %t", n, r.Swapped, err, isNew)
					}
					if r.Swapped {
						if n < 5 {
							t.Errorf("it was cancelled %d times only", n)
						}
						return
					}
					if !errors.Is(err, context.Canceled) || digest(t, s.pool) != before {
						t.Fatalf("cancelled at look %d: %+v, %v", n, r, err)
					}
					s.onlyFiles()
				}
			})
		}
	}
}
