//go:build !linux

package disk

import (
	"os"
	"time"
)

// Sync is f.Sync, and tells how long it took.
func Sync(f *os.File) (took time.Duration, err error) {
	began := time.Now()
	err = f.Sync()
	return time.Since(began), err
}
