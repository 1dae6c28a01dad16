package testapp

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// never is an interval for workers that are to stay out of a test's way.
const never = 1000 * time.Hour

// hold is a query that runs until the test ends it.
type hold struct {
	driver  string        // the name of a driver whose connections know the query
	running chan struct{} // closed once the query runs
	release chan struct{}
	start   sync.Once
	finish  sync.Once
}

func newHold(t *testing.T) *hold {
	h := &hold{running: make(chan struct{}), release: make(chan struct{})}
	// A driver can't be registered twice, nor be taken back: it keeps h, so that
	// no other hold can ever have its address.
	h.driver = fmt.Sprintf("%s-%p", driver.Name, h)
	sql.Register(h.driver, driver.New(driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		return c.RegisterFunc("testapp_hold", func() int64 {
			h.start.Do(func() { close(h.running) })
			<-h.release
			return 1
		}, false)
	})))
	t.Cleanup(h.end)
	return h
}

func (h *hold) end() { h.finish.Do(func() { close(h.release) }) }

func (h *hold) query(ctx context.Context, db *sql.DB) error {
	var n int64
	return db.QueryRowContext(ctx, `SELECT testapp_hold()`).Scan(&n)
}

// openFiles lists what this process has open, but for sockets, pipes and the
// like.
func openFiles(t *testing.T) []string {
	t.Helper()
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		testenv.Skip(t, "no list of open files: %v", err)
	}
	var open []string
	for _, e := range entries {
		link, err := os.Readlink(dir + "/" + e.Name())
		if err == nil && !strings.HasPrefix(link, "/proc/") {
			open = append(open, link)
		}
	}
	return open
}

// wantOpenFiles demands that as much is open as before.
func wantOpenFiles(t *testing.T, before []string) {
	t.Helper()
	if after := openFiles(t); len(after) != len(before) {
		t.Errorf("%d descriptors were open and now %d are:\n%s\nnow:\n%s",
			len(before), len(after), strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
}
