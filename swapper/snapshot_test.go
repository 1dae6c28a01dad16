package swapper_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

func TestAPullUnderWritesIsOneMomentOfTheDatabase(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal="+mode)
			s.exec("CREATE TABLE pairs (side TEXT, n INTEGER)")
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					tx, err := s.pool.Begin()
					if err != nil {
						t.Error(err)
						return
					}
					for _, side := range []string{"a", "b"} {
						if _, err := tx.Exec("INSERT INTO pairs VALUES (?, ?)", side, n); err != nil {
							t.Error(err)
						}
					}
					if err := tx.Commit(); err != nil {
						t.Error(err)
					}
				}
			})
			for range testenv.Sample(4, 10) {
				var out bytes.Buffer
				var announced int64
				r, err := swapper.Pull(context.Background(), s.db, &out, swapper.PullOptions{Begin: func(n int64) { announced = n }})
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(out.Bytes())
				if r.Bytes != int64(out.Len()) || announced != r.Bytes || r.SHA256 != hex.EncodeToString(sum[:]) {
					t.Errorf("%d bytes, report %+v", out.Len(), r)
				}
				path := filepath.Join(t.TempDir(), "pulled.sqlite3")
				if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				pulled, _ := sql.Open("sqlite3", path)
				var a, b, items int
				var check string
				err = pulled.QueryRow(`SELECT (SELECT count(*) FROM pairs WHERE side = 'a'), (SELECT count(*) FROM pairs WHERE side = 'b'),
					(SELECT count(*) FROM items)`).Scan(&a, &b, &items)
				if err != nil || a != b || items != 200 {
					t.Errorf("half a transaction in a snapshot: %d, %d, %d items, %v", a, b, items, err)
				}
				if err := pulled.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
					t.Errorf("integrity_check: %s, %v", check, err)
				}
				pulled.Close()
			}
			cancel()
			wg.Wait()
			s.onlyFiles()
		})
	}
}

func TestAPulledDatabaseCanBePushedBack(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	var out bytes.Buffer
	if _, err := swapper.Pull(context.Background(), s.db, &out, swapper.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	want := digest(t, s.pool)
	s.mustPush(source(t, "new"), swapper.PushOptions{})
	s.mustPush(out.Bytes(), swapper.PushOptions{})
	if digest(t, s.pool) != want {
		t.Error("the content differs from what was pulled")
	}
}

// stoppedWriter takes one piece and then nothing until it is let go.
type stoppedWriter struct {
	began, goOn chan struct{}
	once        sync.Once
}

func (w *stoppedWriter) Write(p []byte) (int, error) {
	w.once.Do(func() { close(w.began) })
	<-w.goOn
	return len(p), nil
}

func TestASlowReaderOfAPullHoldsUpNoPush(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	w := &stoppedWriter{began: make(chan struct{}), goOn: make(chan struct{})}
	done := make(chan error)
	go func() {
		_, err := swapper.Pull(context.Background(), s.db, w, swapper.PullOptions{})
		done <- err
	}()
	<-w.began
	s.mustPush(source(t, "new"), swapper.PushOptions{})
	if s.stamp() != "new" {
		t.Error(s.stamp())
	}
	close(w.goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
	s.onlyFiles()
}

func TestAPullThatFailsLeavesNothing(t *testing.T) {
	s := start(t, t.TempDir(), "")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := swapper.Pull(ctx, s.db, io.Discard, swapper.PullOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	r, w := io.Pipe()
	r.Close()
	if _, err := swapper.Pull(context.Background(), s.db, w, swapper.PullOptions{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a closed destination: %v", err)
	}
	s.onlyFiles()
	if n := len(driver.Databases()); n != 1 {
		t.Errorf("%d databases are managed", n)
	}
}
