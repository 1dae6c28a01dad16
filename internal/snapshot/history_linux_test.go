package snapshot

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// history is what a log says that the rows of a database are.
type history struct {
	last  int64
	items map[int64]int64   // the transaction that wrote each last
	pairs map[[2]int64]bool // the rows of pairs
}

type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// each calls fn with each row, of which it scans what dst points to.
func each(db querier, query string, fn func() error, dst ...any) error {
	rows, err := db.QueryContext(context.Background(), query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(dst...); err != nil {
			return err
		}
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}

func readHistory(db querier) (h history, err error) {
	h = history{items: map[int64]int64{}, pairs: map[[2]int64]bool{}}
	var n int64
	var op string
	err = each(db, "SELECT n, op FROM log ORDER BY n", func() error {
		if n != h.last+1 {
			return fmt.Errorf("the log has %d after %d", n, h.last)
		}
		h.last = n
		for f := range strings.FieldsSeq(op) {
			v, err := strconv.ParseInt(f[1:], 10, 64)
			if err != nil {
				return err
			}
			switch f[0] {
			case 'u':
				h.items[v] = n
			case 'i':
				h.pairs[[2]int64{n, v}] = true
			case 'd':
				for key := range h.pairs {
					if key[0] <= v {
						delete(h.pairs, key)
					}
				}
			}
		}
		return nil
	}, &n, &op)
	return h, err
}

// check compares a database with its own log. It returns the last transaction.
func check(db querier) (int64, error) {
	var text string
	if err := each(db, "PRAGMA integrity_check", func() error {
		if text != "ok" {
			return fmt.Errorf("integrity_check: %.90s", text)
		}
		return nil
	}, &text); err != nil {
		return 0, err
	}
	h, err := readHistory(db)
	if err != nil {
		return 0, err
	}
	var n, id, j int64
	var b []byte
	err = each(db, "SELECT n FROM counter", func() error {
		if n != h.last {
			return fmt.Errorf("the log ends at %d, and the counter is %d", h.last, n)
		}
		return nil
	}, &n)
	if err != nil {
		return 0, err
	}
	count := 0
	err = each(db, "SELECT id, n, b FROM items", func() error {
		count++
		if n != h.items[id] {
			return fmt.Errorf("item %d is of %d, and was last written by %d", id, n, h.items[id])
		}
		if !bytes.Equal(b, content(n, id)) {
			return fmt.Errorf("item %d has other content than %d wrote", id, n)
		}
		return nil
	}, &id, &n, &b)
	if err != nil {
		return 0, err
	}
	if count != items {
		return 0, fmt.Errorf("%d items", count)
	}
	err = each(db, "SELECT n, j, b FROM pairs", func() error {
		key := [2]int64{n, j}
		if !h.pairs[key] {
			return fmt.Errorf("pair %v should not be there", key)
		}
		delete(h.pairs, key)
		if !bytes.Equal(b, content(n, j)) {
			return fmt.Errorf("pair %v has other content than was written", key)
		}
		return nil
	}, &n, &j, &b)
	if err == nil && len(h.pairs) > 0 {
		err = fmt.Errorf("%d pairs are missing", len(h.pairs))
	}
	return h.last, err
}

// digests are of all that SQLite reads from a database, one by one.
func digests(db querier) (map[string]string, error) {
	all := map[string]string{}
	for name, query := range map[string]string{
		"schema":  "SELECT quote(type), quote(name), quote(sql) FROM sqlite_schema ORDER BY name",
		"roots":   "SELECT name, rootpage || rowid, '' FROM sqlite_schema ORDER BY rowid",
		"cookie":  "SELECT schema_version, '', '' FROM pragma_schema_version",
		"counter": "SELECT rowid, quote(n), '' FROM counter ORDER BY rowid",
		"items":   "SELECT id, quote(n), quote(b) FROM items ORDER BY id",
		"index":   "SELECT quote(substr(b, 1, 20)), quote(n), id FROM items INDEXED BY items_b ORDER BY 1, 2",
		"pairs":   "SELECT quote(n), quote(j), quote(b) FROM pairs ORDER BY n, j",
		"log":     "SELECT n, op, '' FROM log ORDER BY n",
	} {
		hash := sha256.New()
		var a, b, c string
		if err := each(db, query, func() error {
			_, err := fmt.Fprintln(hash, a, b, c)
			return err
		}, &a, &b, &c); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[name] = fmt.Sprintf("%x", hash.Sum(nil))
	}
	return all, nil
}

// sameContent compares two digests. A VACUUM is no transaction that is counted, and
// moves the tables; it sets another cookie.
func sameContent(a, b map[string]string) bool {
	if a["cookie"] != b["cookie"] {
		for _, d := range []map[string]string{a, b} {
			delete(d, "cookie")
			delete(d, "roots")
		}
	}
	return maps.Equal(a, b)
}
