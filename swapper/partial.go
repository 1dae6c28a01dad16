package swapper

import (
	"context"
	"database/sql"
	"fmt"

	"hotswap/internal/scan"
	"hotswap/internal/session"
	"hotswap/internal/sqltext"
)

// partialIndex is an index with a WHERE clause.
type partialIndex struct {
	name, table string
	root        int64
	where       string
}

// partialIndexes compares how many entries each partial index has with how many rows its
// WHERE clause is true of. That each of those rows has its entry, integrity_check says; but
// SQLite 3.54.1 counts the entries of other indexes only, unlike 3.40.1, so that one of a
// row that is gone, or is no longer in the index, would go unnoticed.
func (c *checkup) partialIndexes(ctx context.Context) error {
	indexes, err := c.listPartial(ctx)
	if err != nil || len(indexes) == 0 {
		return err
	}
	file, err := scan.Open(c.file)
	if err != nil {
		return failed("read the stage's header", err)
	}
	for _, x := range indexes {
		var rows int64
		if err := c.pool.QueryRowContext(ctx, "SELECT count(*) FROM main."+session.Quote(x.table)+" NOT INDEXED WHERE "+x.where).Scan(&rows); err != nil {
			return c.verdict.sort(ctx, err)
		}
		entries, err := file.Entries(ctx, x.root)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			c.verdict.take("the tree of index " + x.name + " can't be read")
		case entries != rows:
			c.verdict.take(fmt.Sprintf("wrong # of entries in index %s: %d, and there are %d such rows", x.name, entries, rows))
		}
	}
	return c.verdict.err()
}

func (c *checkup) listPartial(ctx context.Context) (all []partialIndex, err error) {
	rows, err := c.pool.QueryContext(ctx, `SELECT s.name, s.tbl_name, s.rootpage, s.sql FROM main.sqlite_schema AS s
		WHERE s.type = 'index' AND EXISTS (SELECT 1 FROM pragma_index_list(s.tbl_name, 'main') AS l WHERE l.name = s.name AND l.partial)`)
	if err != nil {
		return nil, c.verdict.sort(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		var x partialIndex
		var text sql.NullString
		if err := rows.Scan(&x.name, &x.table, &x.root, &text); err != nil {
			return nil, failed("read the list of indexes", err)
		}
		if x.where = whereOf(text.String); x.where == "" {
			return nil, bad("drop the index and create it again", "%s can't be checked: its schema says that the index %s is partial, and not of what", c.verdict.subject, x.name)
		}
		all = append(all, x)
	}
	if err := rows.Err(); err != nil {
		return nil, c.verdict.sort(ctx, err)
	}
	return all, nil
}

// whereOf is the expression behind the WHERE of a CREATE INDEX.
func whereOf(text string) string {
	depth := 0
	for _, st := range sqltext.Statements(text) {
		for _, t := range st.Tokens {
			switch {
			case t.Text == "(":
				depth++
			case t.Text == ")":
				depth--
			case depth == 0 && t.Is("WHERE"):
				return st.Text[t.Pos-st.Tokens[0].Pos+len(t.Text):]
			}
		}
	}
	return ""
}
