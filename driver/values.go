package driver

import (
	"context"
	"database/sql/driver"
	"time"
)

var _ driver.NamedValueChecker = (*conn)(nil)

// CheckNamedValue accepts the types that need no conversion, converts the commonest one
// that does, without the default conversion's reflection, and leaves all others to
// that. The result is the same.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	switch x := v.Value.(type) {
	case int64, string, float64, bool, []byte, time.Time, nil:
		return nil
	case int:
		v.Value = int64(x)
		return nil
	case *rawRequest:
		x.conn = c
		return nil
	}
	return driver.ErrSkip
}

// Exec and Query are for callers without a context, such as drivers around this one that
// are older than those; database/sql has one.
func (c *conn) Exec(query string, args []driver.Value) (driver.Result, error) {
	return c.ExecContext(context.Background(), query, namedValues(args))
}

func (c *conn) Query(query string, args []driver.Value) (driver.Rows, error) {
	return c.QueryContext(context.Background(), query, namedValues(args))
}

// Exec and Query are for callers without a context; database/sql has one.
func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), namedValues(args))
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), namedValues(args))
}

func namedValues(args []driver.Value) []driver.NamedValue {
	named := make([]driver.NamedValue, len(args))
	for i, v := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return named
}
