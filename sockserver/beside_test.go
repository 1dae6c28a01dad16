package sockserver

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"hotswap/swapper"
)

// TestADatabaseThatAnotherDriverOpensIsManagedByItsPath: what has go-sqlite3 wired in, and
// is not asked.
func TestADatabaseThatAnotherDriverOpensIsManagedByItsPath(t *testing.T) {
	dir := shortDir(t)
	path := dir + "/db"
	makeDatabase(t, dir+"/new", 7)
	makeDatabase(t, path, 2)
	wired := reopen(t, path)
	if _, err := wired.Exec("PRAGMA journal_mode=WAL"); err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil))
	var copied bytes.Buffer
	if _, err := c.Snapshot(t.Context(), path, &copied, SnapshotParams{}); err != nil || copied.Len() == 0 {
		t.Errorf("%d bytes, %v", copied.Len(), err)
	}
	content, err := os.Open(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	report, err := c.Push(t.Context(), path, content, PushParams{})
	if err != nil || report.Method != swapper.MethodInPlace {
		t.Fatalf("%+v, %v", report, err)
	}
	if n := rowsIn(t, wired); n != 7 {
		t.Errorf("it reads %d rows, not those that were pushed", n)
	}
	if _, err := wired.Exec("INSERT INTO t (v) VALUES ('after')"); err != nil {
		t.Error(err)
	}
}

func TestADatabaseThatIsOpenedPastTheDriverIsNoticed(t *testing.T) {
	dir := shortDir(t)
	path := dir + "/db"
	makeDatabase(t, path, 1)
	if err := reopen(t, path).Ping(); err != nil {
		t.Fatal(err)
	}
	_, err := newTestClient(t, startServer(t, dir, Config{}, nil)).Push(t.Context(), path, strings.NewReader("x"), PushParams{})
	if p := assertProblem(t, err, ProblemUnmanaged); !strings.Contains(p.Hint, "not through the driver") {
		t.Errorf("the hint is %q", p.Hint)
	}
}
