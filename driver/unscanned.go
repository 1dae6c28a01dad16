//go:build !go1.27

package driver

import "database/sql/driver"

// scanner is nothing before Go 1.27.
//
//lint:ignore U1000 see rows
type scanner struct{}

// forReader returns what database/sql gets of r.
func (r *rows) forReader() driver.Rows { return r }
