// Package chaos has only tests: a fleet of twelve processes on an engine of three servers,
// to which versions are rolled out while nodes and servers are killed, stopped and cut off, disks
// are filled, chunks are damaged, publishers are killed, and old versions are removed.
//
//	go test ./internal/chaos -chaos 30m -seed 7 -v
//
// and fleets of which nodes are stopped in each phase of a rollout, and go on.
//
//	go test ./internal/chaos -run WasStopped -stopped 3m -parallel 16
package chaos
