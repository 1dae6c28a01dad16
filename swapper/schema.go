package swapper

import (
	"cmp"
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"
	"io"
	"slices"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/sqltext"
)

// schema maps "table users" and the like to what made it.
type schema map[string]definition

// definition is the SQL text that made something.
type definition struct {
	tokens string // to compare
	shown  string // to show
}

// define reads a text as SQLite does: by its tokens, between which white space and
// comments mean nothing. All else does: names keep their case, by which a program
// may know its columns, and quotes, within which a word is no keyword. A virtual
// table's module gets what is in its brackets as it is written, so there
// everything counts.
func define(text string) definition {
	d := definition{tokens: text, shown: text}
	tokens := sqltext.Tokens(text)
	if len(tokens) > 1 && tokens[1].Is("VIRTUAL") {
		return d
	}
	var exact, plain strings.Builder
	end := 0
	for i, t := range tokens {
		if i > 0 {
			exact.WriteByte(0) // which no text has
			if t.Pos > end && !t.IsOp("(") && !t.IsOp(")") && !t.IsOp(",") && !tokens[i-1].IsOp("(") && !tokens[i-1].IsOp(",") {
				plain.WriteByte(' ')
			}
		}
		exact.WriteString(t.Text)
		plain.WriteString(t.Text)
		end = t.Pos + len(t.Text)
	}
	d.tokens, d.shown = exact.String(), plain.String()
	return d
}

const selectSchema = `SELECT type, name, coalesce(sql, '') FROM main.sqlite_schema
	WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'`

// readSchema reads what a program made: not sqlite_sequence, sqlite_stat1 and
// their like, which SQLite makes by itself.
func readSchema(ctx context.Context, q interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}) (schema, error) {
	rows, err := q.QueryContext(ctx, selectSchema)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	s := schema{}
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return nil, err
		}
		s[kind+" "+name] = define(cmp.Or(text, "(no SQL text)"))
	}
	return s, rows.Err()
}

// schemaOf is readSchema of a connection of SQLite's.
func schemaOf(c *sqlite3.SQLiteConn) (schema, error) {
	rows, err := c.Query(selectSchema, nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	s := schema{}
	for row := make([]sqldriver.Value, 3); ; {
		err := rows.Next(row)
		if err == io.EOF {
			return s, nil
		}
		if err != nil {
			return nil, err
		}
		s[fmt.Sprint(row[0], " ", row[1])] = define(fmt.Sprint(row[2]))
	}
}

// compare returns the error that says how the new schema differs.
func (live schema) compare(new schema) error {
	var diffs []SchemaDifference
	for name, old := range live {
		if other, ok := new[name]; !ok || other.tokens != old.tokens {
			diffs = append(diffs, SchemaDifference{name, old.shown, other.shown})
		}
	}
	for name, other := range new {
		if _, ok := live[name]; !ok {
			diffs = append(diffs, SchemaDifference{Name: name, New: other.shown})
		}
	}
	if len(diffs) == 0 {
		return nil
	}
	slices.SortFunc(diffs, func(a, b SchemaDifference) int { return strings.Compare(a.Name, b.Name) })
	e := &SchemaError{Differences: diffs[:min(len(diffs), maxDifferences)]}
	e.More = len(diffs) - len(e.Differences)
	text, hint := "the schema differs from the live one", "if this is intended, push with --skip-schema-check"
	if live.foreignTo(new) {
		text = "the new database and the live one have no table in common"
		hint = "is this the right source, and the right database? " + hint
	}
	return &failure{
		text:  text,
		kinds: []error{ErrSchema, ErrBadDatabase},
		cause: e,
		hint:  hint,
	}
}

// foreignTo reports whether both have tables, and none by the same name.
func (live schema) foreignTo(new schema) bool {
	ours, theirs := live.tables(), new.tables()
	return len(ours) > 0 && len(theirs) > 0 && !slices.ContainsFunc(ours, func(name string) bool { return slices.Contains(theirs, name) })
}

func (s schema) tables() (names []string) {
	for name := range s {
		if table, is := strings.CutPrefix(name, "table "); is {
			names = append(names, table)
		}
	}
	return names
}
