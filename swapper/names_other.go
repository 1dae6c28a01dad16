//go:build unix && !linux

package swapper

import "errors"

func exchangeNames(a, b string) error  { return errors.ErrUnsupported }
func renameFree(from, to string) error { return errors.ErrUnsupported }
