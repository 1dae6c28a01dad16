package swapper

import (
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

func setBusyTimeout(wait time.Duration) (pragma string) {
	return fmt.Sprintf("PRAGMA busy_timeout=%d", min(wait.Milliseconds(), math.MaxInt32))
}
