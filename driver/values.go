package driver

import (
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
	}
	return driver.ErrSkip
}
