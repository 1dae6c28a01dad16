//go:build unix && !linux

package swapper

import (
	"errors"
	"os"
)

const leasesExist = false

// Leases and locks of a descriptor are Linux's own.
func setLease(*os.File) error { return errors.ErrUnsupported }
func dropLease(*os.File)      {}
func fence(*os.File) error    { return nil }

func leaseDoubt(string) string {
	return "this system can't tell whether an idle process has the file open"
}
