package fdpass

import (
	"errors"
	"fmt"
)

// ErrStalled: a step of copying took longer than the limit that was set for it.
var ErrStalled = errors.New("the file system did not answer in time")

// ErrPipeStalled: a pipe brought nothing, or took nothing, for longer than the limit that
// was set for it.
var ErrPipeStalled = errors.New("no data moved through the pipe in time")

// ErrNoReader: nobody has the pipe's other end open any more.
var ErrNoReader = errors.New("the pipe has no reader any more")

// UnusableError says why what came with a connection can't be used. Its text
// is fit for the client.
type UnusableError struct{ Reason string }

func (e *UnusableError) Error() string { return e.Reason }

func unusable(format string, args ...any) *UnusableError {
	return &UnusableError{fmt.Sprintf(format, args...)}
}
