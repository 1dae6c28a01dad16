// Package pathwatch tells when a path may lead to another file than before, at a cost
// that does not grow with the number of paths.
//
// It needs no descriptor for each of them, and wakes nobody at what happens in their
// directories: twice a second it looks whether there is anything to look at. That is,
// on Linux, in what inotify(7) says of the directories that the paths lead through, and
// whether something was mounted or unmounted (proc_pid_mounts(5)), of which inotify says
// nothing. A rename, over the file or of a directory further up, a removal, a symlink
// that is made to lead elsewhere and a mount are all seen so, by whatever process. What
// another machine does to a file system is not: such paths are refused, and have to be
// polled, and so has every path on other systems.
package pathwatch

import (
	"errors"
	"time"
)

// ErrChanged: a path leads elsewhere already.
var ErrChanged = errors.New("the path leads to another file")

// Every is how long after a change it is told at the latest.
const Every = 500 * time.Millisecond
