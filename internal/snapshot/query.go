package snapshot

import (
	"database/sql/driver"
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// queryOne reads one value into a *string or *int64.
func queryOne(c *sqlite3.SQLiteConn, query string, to any) error {
	rows, err := c.Query(query, nil)
	if err != nil {
		return err
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	if err := rows.Next(row); err != nil {
		return err
	}
	switch to := to.(type) {
	case *string:
		*to = fmt.Sprint(row[0])
	case *int64:
		*to, _ = row[0].(int64)
	}
	return nil
}
