package scan

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// planned reports whether SQLite runs the query in this one way.
func planned(ctx context.Context, db Querier, query, detail string) (bool, error) {
	steps, as := 0, false
	err := each(ctx, db, "EXPLAIN QUERY PLAN "+query, nil, func(scan func(...any) error) error {
		var id, parent, unused int
		var text string
		err := scan(&id, &parent, &unused, &text)
		steps++
		as = text == detail
		return err
	})
	if se, ok := errors.AsType[sqlite3.Error](err); ok && se.Code == sqlite3.ErrError {
		return false, nil // "no query solution"
	}
	return steps == 1 && as, err
}

// layoutOf returns what a query that reads nothing but an index, of so many columns,
// takes for its records: from SQLite's program for it, which has the last word on what
// b-tree that is and on which fields are read. Those that are not, since they are the
// INTEGER PRIMARY KEY, of which the rowid is read, must be as the rowid is. It is nil if
// the program is not as expected.
func layoutOf(ctx context.Context, db Querier, query string, columns int) (*layout, error) {
	l := &layout{fields: columns + 1, asRowid: make([]bool, columns), reals: make([]bool, columns)}
	for i := range l.asRowid {
		l.asRowid[i] = true
	}
	opened, rowids, odd := 0, 0, false
	read := map[int64]int64{} // which field a register has
	err := each(ctx, db, "EXPLAIN "+query, nil, func(scan func(...any) error) error {
		var addr, p1, p2, p3 int64
		var opcode string
		var p4, p5, comment sql.RawBytes
		if err := scan(&addr, &opcode, &p1, &p2, &p3, &p4, &p5, &comment); err != nil {
			return err
		}
		switch {
		case opcode == "OpenRead":
			opened++
			l.root = p2
			odd = odd || p3 != 0 // of another database
		case opcode == "Column":
			if p2 < 0 || p2 >= int64(columns) {
				odd = true
			} else {
				l.asRowid[p2] = false
				read[p3] = p2
			}
		case opcode == "RealAffinity":
			if field, ok := read[p1]; ok {
				l.reals[field] = true
			} else {
				odd = true
			}
		case opcode == "IdxRowid":
			rowids++
		case opcode == "Rowid", strings.Contains(opcode, "Open"), strings.Contains(opcode, "Seek"):
			odd = true
		}
		return nil
	})
	if err != nil || odd || opened != 1 || rowids == 0 {
		return nil, err
	}
	return l, nil
}
