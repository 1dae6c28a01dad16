package swapper

import "strconv"

// IsNewborn tells tests whether a process that they started is still taken for
// one that does not run its own program yet.
func IsNewborn(pid int) bool { return isNewborn("/proc/" + strconv.Itoa(pid)) }
