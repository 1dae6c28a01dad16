package swapper_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/testenv"
)

// ack is a write that was acknowledged: the stamp of the database that it went
// into is that of the rows beside it, read by the write itself.
type ack struct{ id, stamp string }

// write is a statement that writes a row by the name of id, in which there is no
// quote, and returns the stamp.
func write(id string) string {
	return fmt.Sprintf("INSERT INTO items (stamp, filler) SELECT stamp, '%s' FROM items LIMIT 1 RETURNING stamp", id)
}

// trail keeps every database that a push replaces, and what was written into
// which of them.
type trail struct {
	t    *testing.T
	path string
	dir  string // of the replaced ones, each named by its stamp

	mu   sync.Mutex
	acks []ack
}

func newTrail(t *testing.T, path string) *trail {
	return &trail{t: t, path: path, dir: t.TempDir()}
}

func (tr *trail) acknowledged(id, stamp string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.acks = append(tr.acks, ack{id, stamp})
}

// forget gives up the writes into databases that are replaced and not kept.
func (tr *trail) forget(live string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.acks = slices.DeleteFunc(tr.acks, func(a ack) bool { return a.stamp != live })
}

// keep takes the backup of a push, whose database had this stamp.
func (tr *trail) keep(backup, stamp string) {
	tr.t.Helper()
	if err := os.Rename(backup, filepath.Join(tr.dir, stamp)); err != nil {
		tr.t.Error(err)
	}
}

// check looks for every write in the database that was live when it was
// acknowledged, and demands that each of those is one whole database.
func (tr *trail) check() {
	tr.t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	written := map[string][]string{}
	for _, a := range tr.acks {
		written[a.stamp] = append(written[a.stamp], a.id)
	}
	live := tr.holds(tr.path, written)
	entries, err := os.ReadDir(tr.dir)
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == live {
			tr.t.Errorf("two databases are stamped %s", live)
		}
		tr.holds(filepath.Join(tr.dir, e.Name()), written)
	}
	for stamp, ids := range written {
		tr.t.Errorf("%d writes were acknowledged in a database stamped %s, which never was live", len(ids), stamp)
	}
}

// holds checks one database, and takes its writes off the list.
func (tr *trail) holds(path string, written map[string][]string) (stamp string) {
	tr.t.Helper()
	var db *sql.DB
	// The fence on a replaced file that somebody came late to stays until nobody
	// has it open, this test included: so it is opened anew for each try.
	testenv.Eventually(tr.t, func() error {
		var err error
		if db, err = sql.Open("sqlite3", "file:"+path+"?_busy_timeout=0"); err != nil {
			return err
		}
		var ok string
		if err = db.QueryRow("PRAGMA integrity_check").Scan(&ok); isBusy(err) {
			db.Close()
			return fmt.Errorf("%s: %w", path, err)
		}
		if err != nil || ok != "ok" {
			tr.t.Errorf("%s: integrity_check: %s, %v", path, ok, err)
		}
		return nil
	})
	defer db.Close()
	if err := db.QueryRow("SELECT group_concat(DISTINCT stamp) FROM items").Scan(&stamp); err != nil || strings.Contains(stamp, ",") {
		tr.t.Errorf("%s is a mixture: %s, %v", path, stamp, err)
	}
	rows, err := db.Query("SELECT filler, count(*) FROM items WHERE typeof(filler) = 'text' GROUP BY filler")
	if err != nil {
		tr.t.Fatal(err)
	}
	defer rows.Close()
	there := map[string]int{}
	for rows.Next() {
		var id string
		var n int
		if err := rows.Scan(&id, &n); err != nil {
			tr.t.Fatal(err)
		}
		there[id] = n
	}
	var lost []string
	for _, id := range written[stamp] {
		if there[id] != 1 {
			lost = append(lost, id)
		}
	}
	if len(lost) > 0 {
		tr.t.Errorf("of %d writes that were acknowledged in the database stamped %s, %d are not there once: %.200v", len(written[stamp]), stamp, len(lost), lost)
	}
	delete(written, stamp)
	return stamp
}

func isBusy(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && se.Code == sqlite3.ErrBusy
}

// writes is an acknowledged write of the other process. The shell prints the
// stamp before it commits: its acknowledgement is that it takes the next line.
func (o *other) writes(tr *trail, id string) {
	o.t.Helper()
	stamp := o.must(write(id))
	o.must("SELECT 1")
	tr.acknowledged(id, stamp)
}

// writes is an acknowledged write of the program's.
func (s *service) writes(tr *trail, id string) {
	s.t.Helper()
	var stamp string
	if err := s.pool.QueryRow(write(id)).Scan(&stamp); err != nil {
		s.t.Fatal(err)
	}
	tr.acknowledged(id, stamp)
}

// ends checks what has to be true at the end, whatever went before.
func (tr *trail) ends(s *service, others ...*other) {
	tr.t.Helper()
	for _, o := range others {
		o.quit()
	}
	s.writes(tr, "the last")
	s.pool.Close()
	tr.check()
	s.onlyFiles()
}
