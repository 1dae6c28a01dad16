package swapper

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// schema maps "table users" and the like to the SQL text that made it.
type schema map[string]string

// readSchema reads what a program made: not sqlite_sequence, sqlite_stat1 and
// their like, which SQLite makes by itself.
func readSchema(ctx context.Context, q interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}) (schema, error) {
	rows, err := q.QueryContext(ctx, `SELECT type, name, coalesce(sql, '') FROM sqlite_schema
		WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'`)
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
		s[kind+" "+name] = collapse(text)
	}
	return s, rows.Err()
}

// collapse puts the white space outside of quotes into its plainest form: a
// dump and its restore may lay the same table out differently.
func collapse(text string) string {
	var b strings.Builder
	var quote byte
	space := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		if quote == 0 && (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
			space = true
			continue
		}
		if space && b.Len() > 0 && !strings.ContainsRune("(),", rune(c)) && !strings.HasSuffix(b.String(), "(") && !strings.HasSuffix(b.String(), ",") {
			b.WriteByte(' ')
		}
		space = false
		b.WriteByte(c)
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"' || c == '`'):
			quote = c
		case quote == 0 && c == '[':
			quote = ']'
		}
	}
	return b.String()
}

// compare returns the error that says how the new schema differs.
func (live schema) compare(new schema) error {
	var diffs []string
	for name, text := range live {
		switch other, ok := new[name]; {
		case !ok:
			diffs = append(diffs, name+" is missing")
		case other != text:
			diffs = append(diffs, fmt.Sprintf("%s differs (live: %s) (new: %s)", name, text, other))
		}
	}
	for name := range new {
		if _, ok := live[name]; !ok {
			diffs = append(diffs, name+" is not in the live database")
		}
	}
	if len(diffs) == 0 {
		return nil
	}
	slices.Sort(diffs)
	const most = 10
	text := strings.Join(diffs[:min(len(diffs), most)], "; ")
	if len(diffs) > most {
		text += fmt.Sprintf("; and %d more", len(diffs)-most)
	}
	return &failure{
		text:  "the schema differs from the live one: " + text,
		kinds: []error{ErrSchema, ErrBadDatabase},
		hint:  "push with --skip-schema-check if that is meant",
	}
}
