package fdpass

import (
	"errors"
	"fmt"
)

// ErrStalled: a step of copying took longer than the limit that was set for it.
var ErrStalled = errors.New("the file system did not answer in time")

// UnusableError says why what came with a connection can't be used. Its text
// is fit for the client.
type UnusableError struct{ Reason string }

func (e *UnusableError) Error() string { return e.Reason }

func unusable(format string, args ...any) *UnusableError {
	return &UnusableError{fmt.Sprintf(format, args...)}
}
