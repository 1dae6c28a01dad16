//go:build !linux

package dirwatch

import (
	"errors"
	"os"
)

// Watch is a watch on some names of a directory. There is none on this system.
type Watch struct{}

// New fails.
func New(*os.File, ...string) (*Watch, error) { return nil, errors.ErrUnsupported }

// Follow is never called.
func (*Watch) Follow(string, string) error { return ErrUnknown }

// Touched is never called.
func (*Watch) Touched() ([]string, error) { return nil, ErrUnknown }

// FD is never called.
func (*Watch) FD() int { return -1 }

// Names is never called.
func (*Watch) Names([]byte) ([]string, error) { return nil, ErrUnknown }

// Made is never called.
func (*Watch) Made(string) bool { return true }

// Close is never called.
func (*Watch) Close() {}
