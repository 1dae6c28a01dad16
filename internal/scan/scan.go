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
// Only "equal" is decided here. What differs, and what a scan can't tell (partial
// indexes, expressions, a column or the rowid in a key twice, collations of the
// program's own, WITHOUT ROWID), is left to
// SQLite's check, table by table. And that of all else, quick_check, comes before:
// the scans rely on it.
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

// Decidable reports whether there is a table whose indexes can be scanned.
func (all Tables) Decidable() bool {
	return slices.ContainsFunc(all, func(t table) bool { return len(t.indexes) > 0 && !t.undecidable })
}

// Undecided returns the names of those that SQLite's own check has to look at: it did
// not turn out that their indexes are as they should be. An error is a query's.
func (all Tables) Undecided(ctx context.Context, db Querier) (names []string, err error) {
	for _, t := range all {
		equal, err := t.equal(ctx, db)
		if err != nil {
			return nil, err
		}
		if !equal {
			names = append(names, t.name)
		}
	}
	return names, nil
}

// As in scan.c.
const (
	unique = 1
	noCase = 1
	rTrim  = 2
	desc   = 4
)

const (
	mostColumns = 64 // MAXCOLS of scan.c
	mostIndexes = 20 // scanned at once: of SQLite's most columns of a result
)

// equal reports whether the table's indexes have all of its rows and nothing else,
// in order; false if that can't be told.
func (t *table) equal(ctx context.Context, db Querier) (bool, error) {
	if len(t.indexes) == 0 && !t.undecidable {
		return true, nil
	}
	if t.undecidable {
		return false, nil
	}
	for some := range slices.Chunk(t.indexes, mostIndexes) {
		equal, err := t.equalTo(ctx, db, some)
		if err != nil || !equal {
			return false, err
		}
	}
	return true, nil
}

func (t *table) equalTo(ctx context.Context, db Querier, indexes []index) (bool, error) {
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
		query := "SELECT hotswap_ordered(x'" + fmt.Sprintf("%x", x.key) + "', " + x.values(t) + ")" + from + " INDEXED BY " + quote(x.name)
		if ok, err := planned(ctx, db, query, "SCAN t USING COVERING INDEX "+x.name); err != nil || !ok {
			return false, err
		}
		var got []byte
		if err := db.QueryRowContext(ctx, query).Scan(&got); err != nil {
			return false, err
		}
		n := len(want[i])
		if len(got) != n+2 || got[n] != 0 || got[n+1] != 0 || string(got[:n]) != string(want[i]) {
			return false, nil
		}
	}
	return true, nil
}

// planned reports whether SQLite runs the query in this one way.
func planned(ctx context.Context, db Querier, query, detail string) (bool, error) {
	rows, err := db.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		var se sqlite3.Error
		if errors.As(err, &se) && se.Code == sqlite3.ErrError {
			return false, nil // "no query solution"
		}
		return false, err
	}
	defer rows.Close()
	steps, as := 0, false
	for rows.Next() {
		var id, parent, unused int
		var text string
		if err := rows.Scan(&id, &parent, &unused, &text); err != nil {
			return false, err
		}
		steps++
		as = text == detail
	}
	return steps == 1 && as, rows.Err()
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
