package driver_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/driver"
)

func TestAFileThatIsRemovedIsWarnedOfOnce(t *testing.T) {
	r := startReplaced(t, "WAL")
	driver.StopTicking(r.db)
	look := func(times int) (warnings int) {
		for range times {
			driver.Tick(r.db)
		}
		return strings.Count(r.log.String(), "removed or moved away")
	}
	if look(3) != 0 {
		t.Errorf("a file that is there: %s", r.log)
	}
	if err := os.Rename(r.live, r.live+".away"); err != nil {
		t.Fatal(err)
	}
	if look(1) != 0 {
		t.Error("a moment without a file is no reason: another may be on its way")
	}
	if look(3) != 1 {
		t.Errorf("one that is gone: %s", r.log)
	}
	if err := os.Rename(r.live+".away", r.live); err != nil {
		t.Fatal(err)
	}
	r.write()
	if look(3) != 1 || r.db.Generation() != 1 {
		t.Errorf("one that is back: %s", r.log)
	}
	r.sound()
}

// TestAFileThatIsGoneWhileNothingIsOpenIsNotBegunAnew: what would be written to the new
// one would be hidden once the old one is back.
func TestAFileThatIsGoneWhileNothingIsOpenIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	pool, err := sql.Open(driver.Name, path+"?_busy_timeout=100")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxIdleConns(-1)
	mustExec(t, pool, "CREATE TABLE t (stamp); INSERT INTO t VALUES ('old')")
	if err := os.Rename(path, path+".aside"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := pool.Ping(); !errors.Is(err, driver.ErrReplaced) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
	if err := os.Rename(path+".aside", path); err != nil {
		t.Fatal(err)
	}
	if got := stamps(t, pool); got != "old 1" {
		t.Error(got)
	}
}
