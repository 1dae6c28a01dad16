// Package scale measures fleets: what one costs its engine, its controller and its nodes in
// messages, bytes, processor time and memory. The engine and the nodes are processes of their
// own, whose figures the kernel and the engine tell.
//
// Here are the parts that both measurements use: the one with databases, in this package's
// tests, and the one without, in package fleet's. docs/scale.md has the figures.
package scale
