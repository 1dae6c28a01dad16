// Package dirwatch tells whether files of a directory have been touched: written,
// truncated, created or moved there, by whatever process. The kernel notes that before
// the system call that did it returns, so unlike sizes and times it misses nothing,
// however short (inotify(7)). What it can't see is a write through a mapping, or one
// that another machine makes on a network file system.
package dirwatch

import "errors"

// ErrUnknown: touches may have been missed.
var ErrUnknown = errors.New("the directory's events may be incomplete")
