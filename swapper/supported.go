package swapper

import "hotswap/internal/unix"

// supported returns the error of an operation on a system on which no database is
// managed: nobody has a driver.Database there.
func supported(op string) error {
	if err := unix.Supported(); err != nil {
		return &Error{Op: op, Path: "a database", Err: err}
	}
	return nil
}
