//go:build !go1.27

package driver

import "database/sql/driver"

type scanner struct{}

// forReader returns what database/sql gets of r.
func (r *rows) forReader() driver.Rows { return r }
