package scan_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/scan"
)

var (
	files = flag.Int("files", 150, "how many damaged files TestTheScanAndSQLiteAgree compares")
	seed  = flag.Uint64("seed", 1, "of the first of them")
)

// connector opens connections with a collation of the program's own, and perhaps one
// more, under a name of SQLite's.
type connector struct{ name, own string }

func (c connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	conn, err := (&sqlite3.SQLiteDriver{}).Open(c.name)
	if err != nil {
		return nil, err
	}
	inner := conn.(*sqlite3.SQLiteConn)
	if err := inner.RegisterCollation("backwards", func(a, b string) int { return strings.Compare(b, a) }); err != nil {
		return nil, err
	}
	if c.own != "" {
		if err := inner.RegisterCollation(c.own, func(a, b string) int { return strings.Compare(strings.ToUpper(a), strings.ToUpper(b)) }); err != nil {
			return nil, err
		}
	}
	return conn, scan.Register(inner)
}

func open(t testing.TB, path, own string) *sql.DB {
	db := sql.OpenDB(connector{"file:" + path + "?nolock=1", own})
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// check is a pragma's verdict: "ok", or its first line, or the error.
func check(db *sql.DB, pragma string) string {
	var text string
	if err := db.QueryRow("PRAGMA " + pragma).Scan(&text); err != nil {
		return err.Error()
	}
	return text
}

// scanned is the verdict of the quick check and the scan, and how many tables the
// scan left to SQLite; -1 if it did not come to that.
func scanned(db *sql.DB, path, own string) (verdict string, undecided int) {
	if verdict := check(db, "main.quick_check"); verdict != "ok" {
		return verdict, -1
	}
	file, err := os.Open(path)
	if err != nil {
		return err.Error(), -1
	}
	defer file.Close()
	tables, err := scan.List(context.Background(), db, own == "")
	if err != nil {
		return err.Error(), -1
	}
	names, err := tables.Undecided(context.Background(), db, file)
	if err != nil { // or what it says
		return check(db, "main.integrity_check"), -1
	}
	for _, name := range names {
		if verdict := check(db, `main.integrity_check("`+strings.ReplaceAll(name, `"`, `""`)+`")`); verdict != "ok" {
			return verdict, len(names)
		}
	}
	return "ok", len(names)
}

// TestTheScanAndSQLiteAgree on databases of all kinds, whole and damaged in all kinds
// of ways: whatever integrity_check finds, the quick check, the scan and SQLite's
// check of what that leaves to it do, and nothing else.
func TestTheScanAndSQLiteAgree(t *testing.T) {
	t.Parallel()
	type outcome struct{ damaged, byScan, whole, decided int }
	var (
		mu    sync.Mutex
		found = map[string]*outcome{}
		next  = make(chan uint64)
		group sync.WaitGroup
	)
	for range 4 {
		group.Go(func() {
			for n := range next {
				g := &generator{rand.New(rand.NewPCG(n, 7))}
				path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.sqlite3", n))
				how, err := g.make(t, path)
				if err != nil {
					t.Errorf("seed %d, %s: %v", n, how, err)
					continue
				}
				own := ""
				if g.IntN(10) == 0 {
					own = g.one("NOCASE", "RTRIM", "BINARY")
				}
				db := open(t, path, own)
				want := check(db, "main.integrity_check")
				got, undecided := scanned(db, path, own)
				db.Close()
				if (got == "ok") != (want == "ok") {
					t.Errorf("seed %d, %s, own %q: SQLite says %q, the scan %q (%d undecided)", n, how, own, want, got, undecided)
				}
				os.Remove(path)
				mu.Lock()
				o := found[how]
				if o == nil {
					o = &outcome{}
					found[how] = o
				}
				switch {
				case want == "ok" && undecided == 0:
					o.decided++
					o.whole++
				case want == "ok":
					o.whole++
				case undecided >= 0:
					o.byScan++
					o.damaged++
				default:
					o.damaged++
				}
				mu.Unlock()
			}
		})
	}
	for i := range *files {
		next <- *seed + uint64(i)
	}
	close(next)
	group.Wait()
	total := outcome{}
	for how, o := range found {
		t.Logf("%-28s %4d damaged, %4d of them for the scan to find; %4d whole, %4d of them decided by the scan alone", how, o.damaged, o.byScan, o.whole, o.decided)
		total.byScan += o.byScan
		total.decided += o.decided
	}
	if total.byScan < *files/10 || total.decided < *files/20 {
		t.Errorf("of %d files only %d were damaged so that the scan had to find it, and %d were whole and decided by it", *files, total.byScan, total.decided)
	}
}

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

var columnTypes = []string{"", "TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM"}

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
	for _, text := range tables {
		fill(text, 20+g.IntN(300))
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

// damageRecord changes a byte or two of one of an index's records, as far as it is short.
func (g *generator) damageRecord(page []byte, header bool) bool {
	cells := int(page[3])<<8 | int(page[4])
	at := map[byte]int{0x0a: 8, 0x02: 12}[page[0]]
	if at == 0 || cells == 0 || at+2*cells > len(page) {
		return false
	}
	slot := at + 2*g.IntN(cells)
	at = int(page[slot])<<8 | int(page[slot+1])
	if page[0] == 0x02 {
		at += 4
	}
	if at+1 >= len(page) {
		return false
	}
	record := page[at+1 : min(len(page), at+1+int(page[at]&0x7f))]
	if page[at] >= 0x80 || len(record) < 3 || int(record[0]) > len(record) || record[0] < 2 {
		return false
	}
	head := int(record[0])
	switch {
	case header && g.IntN(3) == 0: // the rowid, which is read from the end
		record[head-1] = byte(1 + g.IntN(6))
		return true
	case header && g.IntN(3) == 0: // NULL, or the two small integers, in other words
		i := 1 + g.IntN(head-1)
		if record[i] != 0 && record[i] != 8 && record[i] != 9 {
			return false
		}
		record[i] = []byte{0, 8, 9, 10, 11, 12, 13}[g.IntN(7)]
		return true
	}
	some := record[:head]
	if !header {
		some = record[head:]
	}
	for range 1 + g.IntN(2) {
		if len(some) == 0 {
			return false
		}
		b := &some[g.IntN(len(some))]
		switch g.IntN(3) {
		case 0:
			*b ^= 1 << g.IntN(8)
		case 1:
			*b = byte(g.IntN(16))
		case 2:
			*b = byte(g.IntN(256))
		}
	}
	return true
}

// damage does something to a page but the first.
func (g *generator) damage(path string, how func(page []byte) bool) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	size := int(content[16])<<8 | int(content[17])
	for range 200 {
		n := 1 + g.IntN(len(content)/size-1)
		if how(content[n*size : (n+1)*size]) {
			break
		}
	}
	return os.WriteFile(path, content, 0o644)
}
