package scan

import (
	"context"
	"database/sql"
	"slices"
	"strings"
)

// table is one of them, with its indexes.
type table struct {
	name        string
	rowid       string // a name of it that no column has
	indexes     []index
	undecidable bool
}

// index is one of a table's.
type index struct {
	name    string
	columns []string // of its key
	key     []byte   // how each of them is compared
	unique  bool
}

// values is what an entry of the index has, its rowid last.
func (x *index) values(t *table) string {
	var b strings.Builder
	for _, c := range x.columns {
		b.WriteString(quote(c) + ", ")
	}
	return b.String() + quote(t.rowid)
}

// list returns the tables, but for virtual ones: see NewPlan.
func list(ctx context.Context, db Querier, plain bool) (all []table, err error) {
	var encoding string
	if err := db.QueryRowContext(ctx, "PRAGMA main.encoding").Scan(&encoding); err != nil {
		return nil, err
	}
	undecidable := encoding != "UTF-8" // whose order is another
	if !plain && !undecidable {
		if undecidable, err = namesBinary(ctx, db); err != nil {
			return nil, err
		}
	}
	// Nothing is compared here by SQLite, whose = is one of those.
	err = each(ctx, db, "SELECT schema, type, name, wr FROM pragma_table_list", nil, func(scan func(...any) error) error {
		var t table
		var schema, kind string
		if err := scan(&schema, &kind, &t.name, &t.undecidable); err != nil || schema != "main" || kind != "table" && kind != "shadow" {
			return err
		}
		t.undecidable = t.undecidable || undecidable
		all = append(all, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range all {
		if t := &all[i]; !t.undecidable {
			if err := t.describe(ctx, db, plain); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// namesBinary reports whether the schema may name the collation BINARY. A column for which
// none is named has SQLite's own, whatever has that name.
func namesBinary(ctx context.Context, db Querier) (names bool, err error) {
	err = each(ctx, db, "SELECT sql FROM main.sqlite_schema", nil, func(scan func(...any) error) error {
		var text sql.NullString
		err := scan(&text)
		lower := strings.ToLower(text.String)
		names = names || strings.Contains(lower, "collate") && strings.Contains(lower, "binary")
		return err
	})
	return names, err
}

// describe adds what the table has.
func (t *table) describe(ctx context.Context, db Querier, plain bool) error {
	var columns []string
	generated := map[string]bool{}
	err := each(ctx, db, "SELECT name, hidden FROM pragma_table_xinfo(?, 'main')", []any{t.name}, func(scan func(...any) error) error {
		var name string
		var hidden int
		err := scan(&name, &hidden)
		columns = append(columns, strings.ToLower(name))
		generated[name] = hidden != 0
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"rowid", "_rowid_", "oid"} {
		if !slices.Contains(columns, name) {
			t.rowid = name
		}
	}
	t.undecidable = t.rowid == ""
	err = each(ctx, db, `SELECT name, "unique", partial FROM pragma_index_list(?, 'main')`, []any{t.name}, func(scan func(...any) error) error {
		var x index
		var partial bool
		if err := scan(&x.name, &x.unique, &partial); err != nil {
			return err
		}
		t.undecidable = t.undecidable || partial
		t.indexes = append(t.indexes, x)
		return nil
	})
	for i := range t.indexes {
		if err == nil {
			err = t.describeIndex(ctx, db, &t.indexes[i], generated, plain)
		}
	}
	return err
}

func (t *table) describeIndex(ctx context.Context, db Querier, x *index, generated map[string]bool, plain bool) error {
	err := each(ctx, db, `SELECT cid, name, "desc", coll, key FROM pragma_index_xinfo(?, 'main')`, []any{x.name}, func(scan func(...any) error) error {
		var cid, key int
		var of, collation sql.NullString
		var down bool
		if err := scan(&cid, &of, &down, &collation, &key); err != nil || key == 0 {
			return err
		}
		name := of.String
		if cid < 0 || generated[name] { // an expression, or the rowid by that name
			t.undecidable = true
		}
		how := byte(0)
		switch strings.ToUpper(collation.String) {
		case "BINARY":
		case "NOCASE":
			how = noCase
		case "RTRIM":
			how = rTrim
		default:
			t.undecidable = true
		}
		t.undecidable = t.undecidable || how != 0 && !plain
		if down {
			how |= desc
		}
		x.columns = append(x.columns, name)
		x.key = append(x.key, how)
		return nil
	})
	return err
}

// each runs fn for every row of a query.
func each(ctx context.Context, db Querier, query string, args []any, fn func(scan func(...any) error) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
