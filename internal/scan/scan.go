// Package scan finds out whether a database's indexes have what their tables have,
// by one pass over each.
//
// SQLite's integrity_check looks every row up in every index, which takes a binary
// search each: in a database of gigabytes most of its time. The same is true if the
// index, from its first to its last entry, is in order, and has the same entries as the
// table: then every search finds its own. So of each row the entries are made that its
// indexes should have, byte for byte as SQLite writes them, and sums are compared, of
// 128-bit hashes of the entries with a random key; so it is a matter of luck, one in 2^64
// at the least, and not of the file, that two differ and are taken for equal. That their
// bytes are equal is more than SQLite's search demands.
//
// The pages are read from the file, not through SQLite, which would take twice as long.
// Where a table and its indexes are in it, and where in a row a column is, is taken from
// SQLite's own programs for such queries: see plan. The order is that of SQLite's own
// collations: on a connection that may have others under their names, indexes that use
// them are not scanned. (What C code registers by sqlite3_auto_extension, on connections
// of all kinds, is not known here.)
//
// Only "equal" is decided here. What differs, and what a scan can't tell (partial
// indexes, expressions, other collations, WITHOUT ROWID, UTF-16, rows that are older than
// a column with a default value, records that are not written in the shortest way, or
// have a megabyte of what is needed), is left to SQLite's check, table by table, or,
// where that is as quick, of the whole. And that of all else, quick_check, belongs to it:
// without its proof that the pages are trees a scan says nothing. It may run at the same
// time.
package scan

import (
	"context"
	"database/sql"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
)

// Querier is a connection: a sql.DB of no more than one.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Plan is what is to be scanned, and what is not.
type Plan struct {
	tables []*tablePlan
	others []string // the tables that are left to SQLite's check
	all    int      // tables
}

// NewPlan makes a plan for the database's main schema. A connection that is not plain may
// have collations of the program's own under SQLite's names, NOCASE, RTRIM and even
// BINARY, which nothing tells. It returns ErrNoGain if there is nothing to scan, or too
// many tables can't be.
func NewPlan(ctx context.Context, db Querier, plain bool) (*Plan, error) {
	all, err := list(ctx, db, plain)
	if err != nil {
		return nil, err
	}
	p := &Plan{all: len(all)}
	for i := range all {
		t := &all[i]
		if len(t.indexes) == 0 && !t.undecidable {
			continue
		}
		plan, err := t.plan(ctx, db)
		if err != nil {
			return nil, err
		}
		if plan != nil {
			p.tables = append(p.tables, plan)
		} else if p.others = append(p.others, t.name); p.tooMany(len(p.others)) {
			return nil, ErrNoGain
		}
	}
	if len(p.tables) == 0 {
		return nil, ErrNoGain
	}
	return p, nil
}

// ErrNoGain is returned where SQLite's check of the whole takes no longer.
var ErrNoGain = errors.New("scan: SQLite's check of the whole takes no longer")

// tooMany reports whether so many tables are better checked with all others at once. A
// check of one goes through the schema several times, in a microsecond or so for each of
// its tables.
func (p *Plan) tooMany(undecided int) bool { return undecided*p.all > 100_000 }

// Undecided returns the names of the tables that SQLite's own check has to look at: it did
// not turn out that their indexes are as they should be. It returns ErrNoGain if there
// are too many. The file is the database's.
func (p *Plan) Undecided(ctx context.Context, f *File) (names []string, err error) {
	names = slices.Clone(p.others)
	s := &seeds{maphash.MakeSeed(), maphash.MakeSeed()}
	for _, t := range p.tables {
		if !t.equal(ctx, f, s) {
			names = append(names, t.name)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if p.tooMany(len(names)) {
			return nil, ErrNoGain
		}
	}
	return names, nil
}

// equal reports whether the table's indexes have all of its rows and nothing else, in
// order; false if that can't be told.
func (t *tablePlan) equal(ctx context.Context, f *File, s *seeds) bool {
	want, ok := t.pass(ctx, f, s)
	for i := range t.indexes {
		var got sum
		if ok {
			got, ok = t.indexes[i].pass(ctx, f, s)
		}
		ok = ok && got == want[i]
	}
	return ok
}

type seeds [2]maphash.Seed

// sum is that of the hashes of all records, in two words, and their number.
type sum struct {
	seeds *seeds
	hash  [2]uint64
	n     int
}

func (s *sum) add(record []byte) {
	for i := range s.hash {
		s.hash[i] += maphash.Bytes(s.seeds[i], record)
	}
	s.n++
}

// How a column of a key is compared.
const (
	noCase     = 1
	rTrim      = 2
	collations = 3
	desc       = 4
)

// mostStored is of SQLite's columns of a table.
const mostStored = 1 << 15

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
