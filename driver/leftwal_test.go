package driver_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/testenv"
)

// readerRole names the database that a child process reads.
const readerRole = "HOTSWAP_TEST_READER"

// readInChild has another process read the file, in a transaction that keeps what is
// written from then on from being moved out of the WAL.
func readInChild(t *testing.T, path string) *testenv.Child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), readerRole+"="+path)
	c := testenv.Start(t, cmd)
	if got := c.Line(); got != "reading" {
		t.Fatal(got)
	}
	return c
}

func beReader(path string) error {
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN; SELECT count(*) FROM t"); err != nil {
		return err
	}
	fmt.Println("reading")
	os.Stdin.Read(make([]byte, 1))
	return nil
}

// leaveWAL writes what the other process keeps in the WAL, and returns another name of
// the file, which is about to be replaced, and the one that its WAL is to get then.
func (r *replaced) leaveWAL() (old, aside string) {
	r.t.Helper()
	info, err := os.Stat(r.live)
	if err != nil {
		r.t.Fatal(err)
	}
	old, aside = r.live+".old", fmt.Sprintf("%s-wal.of-replaced-%d", r.live, info.Sys().(*syscall.Stat_t).Ino)
	if err := os.Link(r.live, old); err != nil {
		r.t.Fatal(err)
	}
	r.write() // behind what the other process reads
	return old, aside
}

// recovered checks that the old file has all writes with the WAL that was put aside.
func (r *replaced) recovered(old, aside string) {
	r.t.Helper()
	if err := os.Rename(aside, old+"-wal"); err != nil {
		r.t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", old)
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if got := stamps(r.t, db); got != "old 90" {
		r.t.Errorf("the old file has %q with the WAL that was put aside", got)
	}
}

func TestTheLogTellsOfAWALThatWasPutAside(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	reader := readInChild(t, r.live)
	old, aside := r.leaveWAL()
	r.mv()
	r.adopted()
	testenv.Until(t, "the log tells of it", func() bool {
		line, _, _ := strings.Cut(r.log.String()[max(0, strings.Index(r.log.String(), `{"level":"warn"`)):], "\n")
		return strings.Contains(line, fmt.Sprintf(`"wal":%q`, aside)) && strings.Contains(line, "was put aside")
	})
	if got := stamps(t, r.pool); got != "new 50" {
		t.Error(got)
	}
	r.sound()
	reader.End()
	r.recovered(old, aside)
}

// TestAFileIsNotOpenedBesideTheWALOfTheReplacedOne: nothing else would keep SQLite from
// replaying that into it.
func TestAFileIsNotOpenedBesideTheWALOfTheReplacedOne(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	content, err := os.ReadFile(r.next)
	if err != nil {
		t.Fatal(err)
	}
	reader := readInChild(t, r.live)
	old, aside := r.leaveWAL()
	if err := os.MkdirAll(filepath.Join(aside, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.mv()
	testenv.Until(t, "the log warns", func() bool { return strings.Contains(r.log.String(), "could not be put aside") })
	if w := r.db.Warning(); !strings.Contains(w, "the WAL of the replaced file") {
		t.Errorf("warning %q", w)
	}
	if err := inside.Of(r.db).CheckFile(t.Context()); !errors.Is(err, driver.ErrReplaced) || !strings.Contains(err.Error(), "the WAL of the replaced file") {
		t.Errorf("who is about to open the file is told %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	var n int
	if err := r.pool.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&n); !errors.Is(err, driver.ErrReplaced) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a call: %d, %v", n, err)
	}
	if got, err := os.ReadFile(r.live); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file that was put there is another: %v", err)
	}
	if err := os.RemoveAll(aside); err != nil {
		t.Fatal(err)
	}
	if got := stamps(t, r.pool); got != "new 50" {
		t.Error(got)
	}
	if w := r.db.Warning(); w != "" {
		t.Errorf("warned still: %s", w)
	}
	r.write()
	r.sound()
	reader.End()
	r.recovered(old, aside)
}

// TestWhyTheOldFileIsNotLeftIsSaidOnce: in the log, and by Warning for as long as it
// lasts.
func TestWhyTheOldFileIsNotLeftIsSaidOnce(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	driver.StopTicking(r.db)
	r.mv()
	for range 3 {
		driver.CantLeave(r.db, errors.New("an odd reason"))
	}
	if w := r.db.Warning(); !strings.Contains(w, "an odd reason") {
		t.Errorf("warning %q", w)
	}
	if got := stamps(t, r.pool); !strings.HasPrefix(got, "old") && !strings.HasPrefix(got, "new") {
		t.Error(got)
	}
	driver.Tick(r.db)
	testenv.Until(t, "the log tells of the move", func() bool { return strings.Contains(r.log.String(), "now use the new one") })
	if n := strings.Count(r.log.String(), "an odd reason"); n != 1 {
		t.Errorf("said %d times: %s", n, r.log)
	}
	if w := r.db.Warning(); w != "" {
		t.Errorf("warned still: %s", w)
	}
}
