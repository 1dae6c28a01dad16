package testapp

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Digest stands for the rows of a table, in whatever order.
type Digest struct {
	Rows int64
	// Sum adds up the SHA-256 of the rows, as four 64-bit numbers.
	Sum [4]uint64
}

// DigestTables returns the digest of every table of the database file, which
// nobody may have open. Views are left out: they follow from the tables.
func DigestTables(ctx context.Context, path string) (map[string]Digest, error) {
	digests := make(map[string]Digest)
	err := withImmutable(path, func(db *sql.DB) error {
		names, err := tableNames(ctx, db, "true")
		if err != nil {
			return err
		}
		for _, name := range names {
			if digests[name], err = digestTable(ctx, db, name); err != nil {
				return fmt.Errorf("table %s: %w", name, err)
			}
		}
		return nil
	})
	return digests, err
}

// tableNames lists the tables for which condition, in SQL, is true, sorted by name.
func tableNames(ctx context.Context, db *sql.DB, condition string) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND (`+condition+`) ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

func digestTable(ctx context.Context, db *sql.DB, name string) (d Digest, err error) {
	rows, err := db.QueryContext(ctx, `SELECT * FROM "`+strings.ReplaceAll(name, `"`, `""`)+`" NOT INDEXED`)
	if err != nil {
		return d, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return d, err
	}
	row := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	var buf []byte
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return d, err
		}
		buf = d.add(row, buf)
	}
	return d, rows.Err()
}

// add folds in one row, by way of buf. The type of each value is part of it: 1,
// 1.0 and "1" differ.
func (d *Digest) add(row []any, buf []byte) []byte {
	buf = buf[:0]
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			buf = append(buf, 'n')
		case int64:
			buf = binary.BigEndian.AppendUint64(append(buf, 'i'), uint64(v))
		case float64:
			buf = binary.BigEndian.AppendUint64(append(buf, 'f'), math.Float64bits(v))
		case string:
			buf = append(binary.BigEndian.AppendUint64(append(buf, 's'), uint64(len(v))), v...)
		case []byte:
			buf = append(binary.BigEndian.AppendUint64(append(buf, 'b'), uint64(len(v))), v...)
		default: // go-sqlite3 makes a bool or a time of some declared types
			text := fmt.Sprint(v)
			buf = append(binary.BigEndian.AppendUint64(append(buf, 'o'), uint64(len(text))), text...)
		}
	}
	sum := sha256.Sum256(buf)
	for i := range d.Sum {
		d.Sum[i] += binary.BigEndian.Uint64(sum[8*i:])
	}
	d.Rows++
	return buf
}
