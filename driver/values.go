package driver

import (
	"database/sql/driver"
	"time"
)

var _ driver.NamedValueChecker = (*conn)(nil)

// CheckNamedValue passes the types that need no conversion, and does that of
// the commonest one that does, without the reflection of the default
// conversion; which it leaves all others to. What comes out is the same.
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
