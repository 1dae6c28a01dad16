// Package chaos has only a test: a fleet of twelve processes on an engine of three servers,
// to which versions are rolled out while nodes and servers are killed, stopped and cut off, disks
// are filled, chunks are damaged, publishers are killed, and old versions are removed.
//
//	go test ./internal/chaos -chaos 30m -seed 7 -v
package chaos
