// Package scan finds out whether a database's indexes have what their tables have,
// by one pass over each.
//
// SQLite's integrity_check looks every row up in every index, which takes a binary
// search each: in a database of gigabytes most of its time. The same is true if the
// index, as it is scanned from its first to its last entry, is in order, and has the
// same entries as the table: then every search finds its own. Of the entries sums
// are compared, of 128-bit hashes with a random key, over the typed values and the
// rowid; so it is a matter of luck, one in 2^64 at the least, and not of the file,
// that two differ and are taken for equal.
//
// A query forgives where that search does not, so the bytes of the indexes' records are
// read as well, in the file: see records. And the order is by SQLite's own collations:
// on a connection that may have others under their names, indexes that use them are not
// scanned. (What C code registers by sqlite3_auto_extension, on connections of all kinds,
// is not known here.)
//
// Only "equal" is decided here. What differs, and what a scan can't tell (partial
// indexes, expressions, a column in a key twice, the rowid in a key but as the table's
// INTEGER PRIMARY KEY, other collations, WITHOUT ROWID, UTF-16, REAL columns with numbers
// of 2^53 and more, what it would have to read of a record on overflow pages), is left
// to SQLite's check, table by table, or, where that is as quick, of the whole. And that
// of all else, quick_check, comes before: the scans rely on it.
package scan

/*
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#include <stdint.h>
int hotswap_scan_register(void *db, uint64_t a, uint64_t b);
*/
import "C"

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/interrupt"
)

// Register gives a connection the functions that Undecided needs.
func Register(c *sqlite3.SQLiteConn) error {
	h, ok := interrupt.Of(c)
	if !ok {
		return errors.New("scan: a connection that go-sqlite3 does not show")
	}
	// It might hide from the scans what it does not hide from SQLite's check.
	c.RegisterAuthorizer(nil)
	var seed [16]byte
	rand.Read(seed[:])
	if rc := C.hotswap_scan_register(h.Pointer(), C.uint64_t(binary.NativeEndian.Uint64(seed[:])), C.uint64_t(binary.NativeEndian.Uint64(seed[8:]))); rc != 0 {
		return sqlite3.ErrNo(rc)
	}
	return nil
}

// Querier is a connection that has the functions: a sql.DB of no more than one.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Tables are those of a database's main schema, but for virtual ones.
type Tables []table

// Decidable reports whether there is a table whose indexes can be scanned, and there are
// not too many of the others.
func (all Tables) Decidable() bool {
	some, others := false, 0
	for _, t := range all {
		if t.undecidable {
			others++
		} else if len(t.indexes) > 0 {
			some = true
		}
	}
	return some && !all.tooMany(others)
}

// Undecided returns the names of those that SQLite's own check has to look at: it did
// not turn out that their indexes are as they should be. An error is a query's.
// The file is the database's, and it is not written to meanwhile. Once there are so many
// that the whole of SQLite's check takes no longer, it returns ErrTooMany.
func (all Tables) Undecided(ctx context.Context, db Querier, file io.ReaderAt) (names []string, err error) {
	r := newRecords(file)
	for _, t := range all {
		equal, err := t.equal(ctx, db, r)
		if err != nil {
			return nil, err
		}
		if !equal {
			names = append(names, t.name)
		}
		if all.tooMany(len(names)) {
			return nil, ErrTooMany
		}
	}
	return names, nil
}

// ErrTooMany is returned by Undecided.
var ErrTooMany = errors.New("scan: too many tables are left to SQLite's check")

// tooMany reports whether so many tables are better checked with all others at once. A
// check of one goes through the schema several times, in a microsecond or so for each of
// its tables.
func (all Tables) tooMany(undecided int) bool { return undecided*len(all) > 100_000 }

// As in scan.c.
const (
	unique = 1
	noCase = 1
	rTrim  = 2
	desc   = 4
	realIs = 8
)

const (
	mostColumns = 64 // MAXCOLS of scan.c
	mostIndexes = 20 // scanned at once: of SQLite's most columns of a result
)

// equal reports whether the table's indexes have all of its rows and nothing else,
// in order; false if that can't be told.
func (t *table) equal(ctx context.Context, db Querier, r *records) (bool, error) {
	if len(t.indexes) == 0 && !t.undecidable {
		return true, nil
	}
	if t.undecidable || r == nil {
		return false, nil
	}
	for some := range slices.Chunk(t.indexes, mostIndexes) {
		equal, err := t.equalTo(ctx, db, r, some)
		if err != nil || !equal {
			return false, err
		}
	}
	return true, nil
}

func (t *table) equalTo(ctx context.Context, db Querier, r *records, indexes []index) (bool, error) {
	sums := make([]string, len(indexes))
	for i, x := range indexes {
		sums[i] = "hotswap_sum(" + x.values(t) + ")"
	}
	from := " FROM main." + quote(t.name) + " AS t"
	query := "SELECT " + strings.Join(sums, ", ") + from + " NOT INDEXED"
	if ok, err := planned(ctx, db, query, "SCAN t"); err != nil || !ok {
		return false, err
	}
	want := make([][]byte, len(indexes))
	dest := make([]any, len(indexes))
	for i := range want {
		dest[i] = &want[i]
	}
	if err := db.QueryRowContext(ctx, query).Scan(dest...); err != nil {
		return false, err
	}
	for i, x := range indexes {
		query := func(key []byte) string {
			return fmt.Sprintf("SELECT hotswap_ordered(x'%x', %s)%s INDEXED BY %s", key, x.values(t), from, quote(x.name))
		}
		if ok, err := planned(ctx, db, query(x.key), "SCAN t USING COVERING INDEX "+x.name); err != nil || !ok {
			return false, err
		}
		l, err := layoutOf(ctx, db, query(x.key), len(x.columns))
		if err != nil || l == nil || !r.plain(ctx, l) {
			return false, err
		}
		key := slices.Clone(x.key)
		for i, is := range l.reals {
			if is {
				key[i+1] |= realIs
			}
		}
		var got []byte
		if err := db.QueryRowContext(ctx, query(key)).Scan(&got); err != nil {
			return false, err
		}
		n := len(want[i])
		if len(got) != n+2 || got[n] != 0 || got[n+1] != 0 || string(got[:n]) != string(want[i]) {
			return false, nil
		}
	}
	return true, nil
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
