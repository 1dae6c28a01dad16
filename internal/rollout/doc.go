// Package rollout decides which version of a database each node of a fleet should have.
// It is pure: it reads no clock, no network and no file, so that every decision can be
// tried with any interleaving of what may happen.
//
// An operator writes an [Order]. One node at a time, the controller, turns it into a
// [Progress] with [Step], and every node asks [Desired] what it should have by the two. An
// order and its progress are each one record that is changed by compare-and-swap; so two
// nodes may believe themselves controller, and only one of them writes each step.
//
//	order:    version 7 after 6, canary 1, waves 50% and 100%
//	progress: preparing -> swapping -> soaking -> swapping -> soaking -> done
//	                \__________\____________\________________> halted -> preparing
//
// What holds, whatever fails:
//
//   - A node is sent to no version but the order's, that of the latest order before which
//     meant it, or that of a pin.
//   - No wave opens before every node of the rollout that answers has the version prepared
//     or has failed, and the waves before it have swapped and soaked.
//   - Once more nodes have failed than the order allows, no wave opens.
//   - A node never goes back to an older version but by a pin, or because a rollback has
//     withdrawn the version that it has.
package rollout
