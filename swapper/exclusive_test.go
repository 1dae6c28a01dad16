package swapper_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/swapper"
)

func TestTheProgramsOwnExclusiveLockIsSaidByName(t *testing.T) {
	t.Parallel()
	sql.Register("hotswap-exclusive", driver.New(driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		_, err := c.Exec("PRAGMA locking_mode=EXCLUSIVE", nil)
		return err
	})))
	for name, c := range map[string]struct {
		driver, params, text, says string
	}{
		"data source name": {driver.Name, "&_locking=EXCLUSIVE", "", "_locking=EXCLUSIVE in its data source name"},
		"text":             {driver.Name, "", "PRAGMA locking_mode = exclusive", "PRAGMA locking_mode = exclusive"},
		"hook":             {"hotswap-exclusive", "", "", "in a connect hook"},
	} {
		for _, mode := range []string{"WAL", "DELETE"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "live.sqlite3")
				makeDatabase(t, path, "live", 10)
				pool, err := sql.Open(c.driver, "file:"+path+"?_journal="+mode+c.params)
				if err != nil {
					t.Fatal(err)
				}
				defer pool.Close()
				pool.SetMaxOpenConns(1)
				s := &service{t: t, dir: filepath.Dir(path), path: path, pool: pool}
				if c.text != "" {
					s.exec(c.text)
				}
				s.exec("INSERT INTO items (stamp) VALUES ('live')")
				s.db, _ = driver.Lookup(path)
				// To wait for it would last for as long as the test may.
				_, err = s.push(source(t, "new"), swapper.PushOptions{Timeout: time.Hour})
				if !errors.Is(err, swapper.ErrTarget) || errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "try again") {
					t.Errorf("a push: %v", err)
				}
				_, err = swapper.Pull(context.Background(), s.db, io.Discard, swapper.PullOptions{})
				if !errors.Is(err, swapper.ErrTarget) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "try again") ||
					!strings.Contains(err.Error(), "leave the locking mode at NORMAL") {
					t.Errorf("a pull: %v", err)
				}
				if s.stamp() != "live" {
					t.Error(s.stamp())
				}
				if c.text == "" {
					return
				}
				s.exec("PRAGMA locking_mode=NORMAL")
				s.stamp() // lets go of the lock
				if mode == "WAL" {
					if _, err := s.push(source(t, "new"), swapper.PushOptions{Timeout: time.Hour}); !strings.Contains(fmt.Sprint(err), "until the connection is closed") {
						t.Errorf("got %v", err)
					}
					pool.SetMaxIdleConns(-1) // closes it
				}
				s.mustPush(source(t, "new"), swapper.PushOptions{})
				if s.stamp() != "new" {
					t.Error(s.stamp())
				}
			})
		}
	}
}
