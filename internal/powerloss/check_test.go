//go:build linux && amd64

package powerloss

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hotswap/internal/dbpath"
	"hotswap/swapper"
)

// progress is how far a victim had come, by its marks.
type progress struct {
	pushed       bool // Push had returned
	begun        int  // writes into the database that was live then
	acknowledged int
}

func (p *progress) mark(line string) {
	switch line {
	case markBegin:
		p.begun++
	case markAcknowledged:
		p.acknowledged++
	case markPushed:
		*p = progress{pushed: true}
	}
}

// contents are the digests that a database may have: by which one it is, and by
// the number of writes into it.
type contents struct{ old, new []string }

func expected(t testing.TB) contents {
	t.Helper()
	states := func(stamp string, rows, writes int) (out []string) {
		path := filepath.Join(t.TempDir(), stamp)
		if err := makeDatabase(path, stamp, rows, "DELETE"); err != nil {
			t.Fatal(err)
		}
		for seq := range writes + 1 {
			if seq > 0 {
				db, err := sql.Open("sqlite3", dbpath.URI(path))
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(write(db, seq), db.Close()); err != nil {
					t.Fatal(err)
				}
			}
			d, err := digest(path)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, d)
		}
		return out
	}
	return contents{states("old", oldRows, writesOld), states("new", newRows, writesAfter)}
}

// outcome is which database a crash left.
type outcome string

const (
	leftOld outcome = "old"
	leftNew outcome = "new"
)

// verdict is on one state. An error says that no crash may leave it.
type verdict struct {
	outcome outcome
	err     error
}

func bad(format string, args ...any) *verdict { return &verdict{err: fmt.Errorf(format, args...)} }

// judge looks at what a crash left in dir.
func (c contents) judge(dir string, s scenario, p progress) *verdict {
	got, err := digest(filepath.Join(dir, liveName))
	if err != nil {
		return bad("%w", err)
	}
	// What the program does when it starts again: a backup of which only the name is
	// missing gets that.
	if s.options.Backup && !p.pushed && got == c.new[0] {
		if _, err := swapper.RemoveOrphans(filepath.Join(dir, liveName)); err != nil {
			return bad("the recovery: %w", err)
		}
	}
	if s.options.Backup && (p.pushed || got == c.new[0]) {
		backup, err := digest(filepath.Join(dir, backupName))
		if err != nil {
			return bad("the backup: %w", err)
		}
		if backup != c.old[writesOld] {
			return bad("the backup is %s", c.name(backup))
		}
	}
	least := max(p.acknowledged-s.mayLose, 0)
	switch {
	case p.pushed && slices.Contains(c.new[least:p.begun+1], got):
		return &verdict{outcome: leftNew}
	case !p.pushed && slices.Contains(c.old[least:p.begun+1], got):
		return &verdict{outcome: leftOld}
	case !p.pushed && got == c.new[0]:
		return &verdict{outcome: leftNew}
	}
	return bad("it is %s, with %d writes begun and %d acknowledged (pushed: %t)", c.name(got), p.begun, p.acknowledged, p.pushed)
}

func (c contents) name(digest string) string {
	for what, digests := range map[string][]string{"old": c.old, "new": c.new} {
		if i := slices.Index(digests, digest); i >= 0 {
			return fmt.Sprintf("the %s database with %d writes", what, i)
		}
	}
	return "neither the old nor the new database"
}

// digest opens the database, which recovers it as after any crash, checks it,
// and returns the SHA-256 of its schema and of all rows of all tables in order.
func digest(path string) (string, error) {
	if _, err := os.Lstat(path); err != nil {
		return "", err
	}
	db, err := sql.Open("sqlite3", dbpath.URI(path, "mode=rw", "_sync=OFF"))
	if err != nil {
		return "", err
	}
	defer db.Close()
	var integrity string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&integrity); err != nil {
		return "", err
	}
	if integrity != "ok" {
		return "", fmt.Errorf("integrity_check: %s", integrity)
	}
	h := sha256.New()
	for _, query := range []string{
		"SELECT group_concat(quote(type) || quote(name) || quote(tbl_name) || quote(sql)) FROM (SELECT * FROM sqlite_schema ORDER BY name)",
		"SELECT group_concat(quote(id) || quote(stamp) || quote(filler)) FROM (SELECT * FROM items NOT INDEXED ORDER BY id)",
		"SELECT coalesce(group_concat(quote(seq)), '') FROM (SELECT * FROM writes ORDER BY seq)",
	} {
		var rows string
		if err := db.QueryRow(query).Scan(&rows); err != nil {
			return "", err
		}
		fmt.Fprintln(h, rows)
	}
	return hex.EncodeToString(h.Sum(nil)), db.Close()
}

// tally counts verdicts.
type tally struct {
	calls  int // at which power was lost
	states int
	seen   map[*verdict]bool
	left   map[outcome]int // different ones
	bad    []string
}

func newTally() *tally { return &tally{seen: map[*verdict]bool{}, left: map[outcome]int{}} }

// add counts a state; where tells of how it came about.
func (y *tally) add(v *verdict, where func() string) {
	y.states++
	if y.seen[v] {
		return
	}
	y.seen[v] = true
	if v.err != nil {
		y.bad = append(y.bad, where()+": "+v.err.Error())
		return
	}
	y.left[v.outcome]++
}

func (y *tally) String() string {
	return fmt.Sprintf("%d old, %d new, %d bad", y.left[leftOld], y.left[leftNew], len(y.bad))
}

// firstBad is some of what was bad, for a message.
func (y *tally) firstBad() string { return strings.Join(y.bad[:min(len(y.bad), 8)], "\n") }
