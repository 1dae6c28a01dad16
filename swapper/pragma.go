package swapper

import (
	sqldriver "database/sql/driver"
	"fmt"
	"math"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

func queryInt(c *sqlite3.SQLiteConn, query string) (int64, error) {
	var v any
	err := queryOne(c, query, &v)
	n, _ := v.(int64)
	return n, err
}

func queryText(c *sqlite3.SQLiteConn, query string) (string, error) {
	var v any
	err := queryOne(c, query, &v)
	return fmt.Sprint(v), err
}

func queryOne(c *sqlite3.SQLiteConn, query string, v *any) error {
	rows, err := c.Query(query, nil)
	if err != nil {
		return err
	}
	defer rows.Close()
	row := make([]sqldriver.Value, 1)
	if err := rows.Next(row); err != nil {
		return err
	}
	*v = row[0]
	return nil
}

func setBusyTimeout(wait time.Duration) (pragma string) {
	return fmt.Sprintf("PRAGMA busy_timeout=%d", min(wait.Milliseconds(), math.MaxInt32))
}
