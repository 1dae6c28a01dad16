// Package disk tells how long the disk takes for a sync, and how much room there is.
package disk

import "time"

// Slow reports whether a sync that took so long is worth being kept out of the moment
// in which all calls wait, at the price of a longer wait for writes. It is a variable
// for tests, in which the speed of the disk is not to matter.
var Slow = func(took time.Duration) bool { return took >= time.Millisecond }
