package moves

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	_ "github.com/mattn/go-sqlite3"

	"hotswap/internal/dbpath"
)

// A version is a database's content, named by its stamp: "m0007-120" is the
// seventh of those moved in, of 120 items. Every row of it has the stamp, and
// every page some row, so that a page of another version shows.
const schema = `
	CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, stamp TEXT NOT NULL, pad TEXT NOT NULL);
	CREATE INDEX IF NOT EXISTS item_stamp ON item (stamp, id);
	CREATE TABLE IF NOT EXISTS ack (writer TEXT NOT NULL, seq INTEGER NOT NULL, stamp TEXT NOT NULL, pad TEXT NOT NULL);`

func newStamp(kind string, n, rows int) string { return fmt.Sprintf("%s%04d-%d", kind, n, rows) }

// rowsOf is how many items the version has; 0 for what is no stamp.
func rowsOf(stamp string) int {
	_, rows, _ := strings.Cut(stamp, "-")
	n, _ := strconv.Atoi(rows)
	return n
}

func padOf(stamp string, id int) string {
	return strings.Repeat(fmt.Sprintf("%s#%d ", stamp, id), 40)
}

// makeVersion makes a database file of the version, in that journal mode, with
// nothing beside it.
func makeVersion(path, stamp, journal string) error {
	db, err := sql.Open("sqlite3", dbpath.URI(path, "_sync=OFF", "_journal="+journal))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(schema); err != nil {
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert, err := tx.Prepare("INSERT INTO item VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	for id := 1; id <= rowsOf(stamp); id++ {
		if _, err := insert.Exec(id, stamp, padOf(stamp, id)); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return db.Close()
}

// digestOf is the digest of the version's items.
func digestOf(stamp string) string {
	d := itemDigest{}
	for id := 1; id <= rowsOf(stamp); id++ {
		d.add(id, stamp, padOf(stamp, id))
	}
	return d.sum()
}

type itemDigest struct{ text bytes.Buffer }

func (d *itemDigest) add(id int, stamp, pad string) {
	fmt.Fprintf(&d.text, "%d\x00%s\x00%s\x00", id, stamp, pad)
}

func (d *itemDigest) sum() string {
	sum := sha256.Sum256(d.text.Bytes())
	return hex.EncodeToString(sum[:])
}

// contents is what is in a file of the path's, after the run.
type contents struct {
	name   string
	stamp  string   // of its first item; "" if it has none
	stamps []string // all that its rows have
	digest string   // of its items
	acks   map[ackID]int
	bare   bool   // it does not even have the table of items
	damage string // what SQLite's own check says, if not "ok", or why it can't be read
}

type ackID struct {
	writer string
	seq    int64
}

// readContents reads a file that nobody has open any more, with the WAL or the
// journal beside it.
func readContents(path string) contents {
	c := contents{name: path, acks: map[ackID]int{}}
	if err := c.read(path); err != nil {
		c.damage = err.Error()
	}
	slices.Sort(c.stamps)
	c.stamps = slices.Compact(c.stamps)
	return c
}

func (c *contents) read(path string) error {
	db, err := sql.Open("sqlite3", dbpath.URI(path, "mode=rw"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var check string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil {
		return err
	}
	if check != "ok" {
		c.damage, _, _ = strings.Cut(strings.TrimPrefix(check, "*** in database main ***\n"), "\n")
	}
	if err := c.readItems(db); err != nil {
		c.bare = strings.Contains(err.Error(), "no such table")
		return err
	}
	return c.readAcks(db)
}

func (c *contents) readItems(db *sql.DB) error {
	rows, err := db.Query("SELECT id, stamp, pad FROM item NOT INDEXED ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	digest := itemDigest{}
	for rows.Next() {
		var id int
		var stamp, pad string
		if err := rows.Scan(&id, &stamp, &pad); err != nil {
			return err
		}
		if c.stamp == "" {
			c.stamp = stamp
		}
		c.stamps = append(c.stamps, stamp)
		digest.add(id, stamp, pad)
	}
	c.digest = digest.sum()
	return rows.Err()
}

func (c *contents) readAcks(db *sql.DB) error {
	rows, err := db.Query("SELECT writer, seq, stamp FROM ack")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id ackID
		var stamp string
		if err := rows.Scan(&id.writer, &id.seq, &stamp); err != nil {
			return err
		}
		c.stamps = append(c.stamps, stamp)
		c.acks[id]++
	}
	return rows.Err()
}

// The ways in which a file is not whole.
const (
	brokenEmpty   = "empty"
	brokenCut     = "cut"
	brokenGarbage = "garbage"
)

// breakFile makes the whole file a broken one and returns its bytes.
func breakFile(path, how string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	switch how {
	case brokenEmpty:
		b = nil
	case brokenCut:
		b = b[:len(b)/2+37]
	case brokenGarbage:
		for i := range b {
			b[i] = byte(i*7 + 13)
		}
	default:
		return nil, errors.New("no way to break a file: " + how)
	}
	return b, os.WriteFile(path, b, 0o644)
}

// unchangedFile reports whether the file has these bytes; one that is gone has not.
func unchangedFile(path string, want []byte) error {
	got, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%d bytes, and not the %d that were put there", len(got), len(want))
	}
	return nil
}
