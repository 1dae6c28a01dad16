package swapper_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// TestNoUpdateIsLost pulls, edits the copy, and pushes it with its tag, again and again,
// while the program writes, and a stranger does: every write that was acknowledged, and
// every edit whose push succeeded, is there at the end.
func TestNoUpdateIsLost(t *testing.T) {
	t.Parallel()
	edits := testenv.Sample(6, 25)
	for _, mode := range []string{"WAL", "DELETE"} {
		for _, who := range []string{"the program", "a stranger"} {
			t.Run(mode+"/"+who, func(t *testing.T) {
				t.Parallel()
				s := start(t, t.TempDir(), "&_journal="+mode+"&_busy_timeout=20000")
				var acked sync.Map
				var group sync.WaitGroup
				var editing atomic.Int64 // how long the last edit took
				ctx, cancel := context.WithCancel(t.Context())
				defer group.Wait()
				defer cancel()
				writer := func(name string, pool *sql.DB) {
					for n := 0; ctx.Err() == nil; n++ {
						id := fmt.Sprint(name, n)
						if _, err := pool.ExecContext(ctx, "INSERT INTO items (stamp) VALUES (?)", id); err == nil {
							acked.Store(id, true)
						} else if ctx.Err() == nil && name == "own" {
							t.Errorf("a write failed: %v", err)
							return
						}
						// Or no push would ever find it unchanged, on a slow machine least of all.
						time.Sleep(rand.N(60*time.Millisecond + 4*time.Duration(editing.Load())))
					}
				}
				group.Go(func() { writer("own", s.pool) })
				if who == "a stranger" {
					plain, err := sql.Open("sqlite3", "file:"+s.path+"?_busy_timeout=5000")
					if err != nil {
						t.Fatal(err)
					}
					defer plain.Close()
					group.Go(func() { writer("stranger", plain) })
				}
				made, refused := 0, 0
				for n := 0; made < edits; n++ {
					id, began := fmt.Sprint("edit", n), time.Now()
					copied, tag := s.tag()
					_, err := s.push(withRow(t, copied, id), swapper.PushOptions{IfMatch: tag})
					editing.Store(int64(time.Since(began)))
					switch {
					case err == nil:
						acked.Store(id, true)
						made++
					case errors.Is(err, swapper.ErrChanged):
						refused++
					case !errors.Is(err, swapper.ErrBusy):
						t.Fatal(err)
					}
				}
				cancel()
				group.Wait()
				there := map[string]bool{}
				rows, err := s.pool.Query("SELECT stamp FROM items")
				if err != nil {
					t.Fatal(err)
				}
				defer rows.Close()
				for rows.Next() {
					var stamp string
					if err := rows.Scan(&stamp); err != nil {
						t.Fatal(err)
					}
					there[stamp] = true
				}
				acked.Range(func(id, _ any) bool {
					if !there[id.(string)] {
						t.Errorf("%v is lost", id)
					}
					return true
				})
				t.Logf("%d edits, %d refused", made, refused)
			})
		}
	}
}

// withRow returns the database with a row more.
func withRow(t *testing.T, database []byte, id string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "edited.sqlite3")
	if err := os.WriteFile(path, database, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal=DELETE&_sync=OFF")
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("INSERT INTO items (stamp) VALUES (?)", id)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
