//go:build !linux

package pathwatch

import (
	"errors"

	"hotswap/internal/fileid"
)

// Watch is a watch on a path. There is none on this system.
type Watch struct{}

// New fails.
func New(string, []string, fileid.ID, func(*Watch)) (*Watch, error) {
	return nil, errors.ErrUnsupported
}

// Ended is never called.
func (*Watch) Ended() bool { return true }

// Stop is never called.
func (*Watch) Stop() {}
