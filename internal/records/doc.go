// Package records reads and writes what a fleet's nodes and operators tell one another
// through the engine: orders, their progress, pins, the lease of the controller, and what
// each node says of itself.
//
//	hotswap-fleet  order.<channel>, progress.<channel>, waves.<channel>.<name>,
//	               pin.<channel>.<node>, lease
//	hotswap-nodes  node.<node>, joined.<node>
//	hotswap-has    has.<node>.<channel>
//
// A record that decides is only changed by compare-and-swap. What a node says of itself
// expires if it is not renewed, by the engine's clock; what it has is kept. That it has joined is
// known for a week after it has left, so that somebody misses it.
package records
