package scan_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// generator makes a database, and damages it.
type generator struct{ *rand.Rand }

func (g *generator) one(of ...string) string { return of[g.IntN(len(of))] }

// value is one whose order and equality are traps.
func (g *generator) value() any {
	switch g.IntN(12) {
	case 0:
		return nil
	case 1:
		return int64(g.IntN(5)) - 2
	case 2:
		return g.Int64() - 1<<62
	case 3:
		return float64(g.IntN(5)) - 2
	case 4:
		return g.NormFloat64() * 1e18
	case 5:
		return float64(1<<53) + float64(g.IntN(3))
	case 6:
		return int64(1<<53) + int64(g.IntN(3))
	case 7:
		return []byte(strings.Repeat("b", g.IntN(5)))
	case 8:
		return g.one("a", "A", "a ", "A  ", "b\x00c", "b\x00d", "B\x00", "", " ", "é", "Z")
	case 9:
		return strings.Repeat(g.one("x", "X", "y"), g.IntN(900)) // on overflow pages
	default:
		return fmt.Sprintf("%s%d", g.one("row", "Row", "q"), g.IntN(400))
	}
}

func (g *generator) schema() (tables []string, indexes []string) {
	for i := range 1 + g.IntN(2) {
		name := g.one("t", `odd "name`, "T 2", "select") + fmt.Sprint(i)
		quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		var columns []string
		if g.IntN(2) == 0 {
			columns = append(columns, "id INTEGER PRIMARY KEY")
		} else {
			columns = append(columns, "id INTEGER")
		}
		for c := range 3 {
			columns = append(columns, fmt.Sprintf("c%d %s", c, columnTypes[g.IntN(len(columnTypes))]))
		}
		if g.IntN(8) == 0 {
			columns = append(columns, "gen TEXT AS (c0 || 'g') "+g.one("STORED", "VIRTUAL"))
		} else {
			columns = append(columns, "rowid TEXT")
		}
		tail := ")"
		if strings.HasSuffix(columns[0], "INTEGER") && g.IntN(8) == 0 {
			tail = ", PRIMARY KEY (id, c1)) WITHOUT ROWID"
		} else if g.IntN(6) == 0 {
			columns = append(columns, "UNIQUE (id, c2)")
		}
		tables = append(tables, "CREATE TABLE "+quoted+" ("+strings.Join(columns, ", ")+tail)
		for x := range 1 + g.IntN(3) {
			key := []string{"id", "c0", "c1", "c2"}
			g.Shuffle(len(key), func(i, j int) { key[i], key[j] = key[j], key[i] })
			key = key[:1+g.IntN(3)]
			for k := range key {
				if g.IntN(4) == 0 {
					key[k] += g.one(" COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY", " COLLATE backwards")
				}
				key[k] += g.one("", "", " DESC")
			}
			where := ""
			if g.IntN(12) == 0 {
				where = " WHERE c0 IS NOT NULL"
			}
			if g.IntN(12) == 0 {
				key = append(key, "lower(c1)")
			}
			indexes = append(indexes, fmt.Sprintf("CREATE INDEX i%d%d ON %s (%s)%s", i, x, quoted, strings.Join(key, ", "), where))
		}
	}
	return tables, indexes
}

func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// make makes the file, and says how it was damaged.
func (g *generator) make(t testing.TB, path string) (how string, err error) {
	db := open(t, path, "")
	defer db.Close()
	exec := func(query string, args ...any) {
		if _, execErr := db.Exec(query, args...); execErr != nil && err == nil && !strings.Contains(execErr.Error(), "constraint failed") && !strings.Contains(execErr.Error(), "datatype mismatch") {
			err = fmt.Errorf("%s: %w", query, execErr)
		}
	}
	exec("PRAGMA page_size=" + g.one("512", "1024", "4096"))
	if g.IntN(20) == 0 {
		exec("PRAGMA encoding='UTF-16'")
	}
	exec("PRAGMA auto_vacuum=" + g.one("0", "1", "2"))
	tables, indexes := g.schema()
	fill := func(table string, rows int) {
		name := table[len("CREATE TABLE "):strings.Index(table, " (id")]
		exec("BEGIN")
		for range rows {
			exec("INSERT OR IGNORE INTO "+name+" (id, c0, c1, c2) VALUES (?, ?, ?, ?)", g.IntN(1000), g.value(), g.value(), g.value())
		}
		exec("COMMIT")
	}
	for _, text := range append(tables, indexes...) {
		exec(text)
	}
	for i, text := range tables {
		fill(text, 20+g.IntN(300))
		if g.IntN(6) > 0 {
			continue
		}
		name := text[len("CREATE TABLE "):strings.Index(text, " (id")]
		exec("ALTER TABLE " + name + " ADD COLUMN late " + columnTypes[g.IntN(len(columnTypes))] + g.one("", "", " DEFAULT 5", " DEFAULT 'x'", " DEFAULT NULL"))
		late := fmt.Sprintf("CREATE INDEX late%d ON %s (%s)", i, name, g.one("late", "late, c0", "c1, late"))
		exec(late)
		indexes = append(indexes, late)
		fill(text, g.IntN(50))
	}
	name := func() string {
		table := tables[g.IntN(len(tables))]
		return table[len("CREATE TABLE "):strings.Index(table, " (id")]
	}
	hidden := func(fn func()) { // without one of the indexes
		x := indexes[g.IntN(len(indexes))]
		name := strings.Fields(x)[2]
		exec("PRAGMA writable_schema=ON")
		exec("CREATE TABLE IF NOT EXISTS kept AS SELECT * FROM sqlite_schema WHERE name = " + quoted(name))
		exec("DELETE FROM sqlite_schema WHERE name = " + quoted(name))
		exec("PRAGMA writable_schema=RESET")
		fn()
		exec("PRAGMA writable_schema=ON")
		exec("INSERT INTO sqlite_schema SELECT * FROM kept")
		exec("PRAGMA writable_schema=RESET")
		exec("DROP TABLE kept")
	}
	rewrite := func(from, to string) { // an index's text
		exec("PRAGMA writable_schema=ON")
		exec("UPDATE sqlite_schema SET sql = replace(sql, " + quoted(from) + ", " + quoted(to) + ") WHERE type = 'index' AND name = " + quoted(strings.Fields(indexes[g.IntN(len(indexes))])[2]))
		exec("PRAGMA writable_schema=RESET")
	}
	switch g.IntN(18) {
	case 0:
		how = "nothing"
	case 1:
		how = "entries missing"
		hidden(func() {
			exec("INSERT OR IGNORE INTO "+name()+" (id, c0, c1, c2) VALUES (?, ?, ?, ?)", 5000, g.value(), g.value(), g.value())
		})
	case 2:
		how = "entries left over"
		hidden(func() { exec("DELETE FROM "+name()+" WHERE id % 50 = ?", g.IntN(50)) })
	case 3:
		how = "other values"
		hidden(func() {
			exec("UPDATE OR IGNORE "+name()+" SET "+g.one("c0", "c1", "c2")+" = ? WHERE id % 50 = ?", g.value(), g.IntN(50))
		})
	case 4:
		how = "other case"
		hidden(func() {
			exec("UPDATE OR IGNORE "+name()+" SET c0 = upper(c0), c1 = c1 || ' ' WHERE id % 20 = ?", g.IntN(20))
		})
	case 5:
		how = "other rowids"
		hidden(func() { exec("UPDATE OR IGNORE "+name()+" SET id = id + 7000 WHERE id % 50 = ?", g.IntN(50)) })
	case 6:
		how = "UNIQUE added"
		rewrite("CREATE INDEX", "CREATE UNIQUE INDEX")
	case 7:
		how = "another collation"
		rewrite(g.one(" COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY"), g.one("", " COLLATE NOCASE", " COLLATE RTRIM"))
	case 8:
		how = "another order"
		rewrite(" DESC", "")
	case 9:
		how = "another column"
		rewrite(g.one("c0", "c1"), "c2")
	case 10:
		how = "bytes of a page"
	case 11:
		how = "cells of an index exchanged"
	case 12:
		how = "integers become floats"
		hidden(func() {
			exec("UPDATE OR IGNORE "+name()+" SET c1 = c1 + 0.0 WHERE typeof(c1) = 'integer' AND id % 7 = ?", g.IntN(7))
		})
	case 13, 14:
		how = "a record's header"
	case 15:
		how = "a record's value"
	case 16:
		how = "a column less"
		rewrite(g.one(", c0", ", c1", ", c2", ", id"), "")
	case 17:
		how = "a column more"
		rewrite(")", ", "+g.one("id", "c0", "c1", "c2")+")")
	}
	if err != nil {
		return how, err
	}
	if err := db.Close(); err != nil {
		return how, err
	}
	switch how {
	case "bytes of a page":
		return how, g.damage(path, func(page []byte) bool {
			for range 1 + g.IntN(4) {
				page[g.IntN(len(page))] = byte(g.IntN(256))
			}
			return true
		})
	case "a record's header", "a record's value":
		return how, g.damage(path, func(page []byte) bool { return g.damageRecord(page, how == "a record's header") })
	case "cells of an index exchanged":
		return how, g.damage(path, func(page []byte) bool {
			cells := int(page[3])<<8 | int(page[4])
			if page[0] != 0x0a || cells < 2 || 8+2*cells > len(page) {
				return false
			}
			i, j := 8+2*g.IntN(cells), 8+2*g.IntN(cells)
			for b := range 2 {
				page[i+b], page[j+b] = page[j+b], page[i+b]
			}
			return true
		})
	}
	return how, nil
}
