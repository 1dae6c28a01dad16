package scan

import (
	"context"
	"database/sql"
	"errors"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// tablePlan is where a table's content is, and of which of its columns the entries of
// its indexes are made.
type tablePlan struct {
	name    string
	root    int64
	columns []column // as they are stored, up to the last that is needed
	indexes []indexPlan
}

type column struct {
	needed   bool
	defaults bool // what rows have that were there before the column is not NULL
}

type indexPlan struct {
	root    int64
	columns []int // of its key: which one of the table's, or isRowid
	key     []byte
	unique  bool
}

const isRowid = -1

// plan returns nil if the table is to be left to SQLite. What of the file is read is
// taken from SQLite's own programs for such queries, which have the last word.
func (t *table) plan(ctx context.Context, db Querier) (*tablePlan, error) {
	if t.undecidable {
		return nil, nil
	}
	p := &tablePlan{name: t.name}
	table := " FROM main." + quote(t.name) + " AS t "
	for _, x := range t.indexes {
		of, err := programOf(ctx, db, "SELECT "+x.values(t)+table+"NOT INDEXED")
		if err != nil || of == nil || of.ofIndex || len(of.columns) != len(x.columns)+1 || of.columns[len(x.columns)].stored != isRowid {
			return nil, err
		}
		tree, err := programOf(ctx, db, "SELECT "+quote(t.rowid)+table+"INDEXED BY "+quote(x.name))
		if err != nil || tree == nil || !tree.ofIndex {
			return nil, err
		}
		p.root = of.root
		xp := indexPlan{root: tree.root, unique: x.unique, key: x.key}
		for _, c := range of.columns[:len(x.columns)] {
			xp.columns = append(xp.columns, c.stored)
			if c.stored == isRowid {
				continue
			}
			if more := c.stored + 1 - len(p.columns); more > 0 {
				p.columns = append(p.columns, make([]column, more)...)
			}
			p.columns[c.stored] = column{needed: true, defaults: c.defaults}
		}
		p.indexes = append(p.indexes, xp)
	}
	return p, nil
}

// program is what SQLite does to run a query that reads one b-tree.
type program struct {
	root    int64
	ofIndex bool
	columns []result
}

// result is what of the b-tree's records one of a query's columns is.
type result struct {
	stored   int // isRowid for the rowid
	defaults bool
}

// programOf returns nil if the program does more than read and return. What is read of a
// REAL column may be an integer, which is made a float for the query's result, and
// not for an index.
func programOf(ctx context.Context, db Querier, query string) (*program, error) {
	p := &program{}
	opened, rowids, indexRowids, odd := 0, 0, 0, false
	read := map[int64]result{} // by register
	err := each(ctx, db, "EXPLAIN "+query, nil, func(scan func(...any) error) error {
		var addr, p1, p2, p3 int64
		var opcode string
		var p4, p5, comment sql.RawBytes
		if err := scan(&addr, &opcode, &p1, &p2, &p3, &p4, &p5, &comment); err != nil {
			return err
		}
		switch opcode {
		case "OpenRead":
			opened++
			p.root = p2
			odd = odd || p3 != 0 // of another database
		case "Column":
			read[p3] = result{stored: int(p2), defaults: len(p4) > 0}
			odd = odd || p2 < 0 || p2 >= mostStored
		case "Rowid":
			rowids++
			read[p2] = result{stored: isRowid}
		case "IdxRowid":
			indexRowids++
			read[p2] = result{stored: isRowid}
		case "ResultRow":
			odd = odd || p.columns != nil
			for register := p1; register < p1+p2; register++ {
				r, ok := read[register]
				odd = odd || !ok
				p.columns = append(p.columns, r)
			}
		case "Init", "Transaction", "Explain", "Rewind", "RealAffinity", "Next", "Halt", "Goto":
		default:
			odd = true
		}
		return nil
	})
	if se, ok := errors.AsType[sqlite3.Error](err); ok && se.Code == sqlite3.ErrError {
		return nil, nil // "no query solution"
	}
	p.ofIndex = indexRowids > 0
	if err != nil || odd || opened != 1 || (rowids > 0) == p.ofIndex {
		return nil, err
	}
	return p, nil
}
