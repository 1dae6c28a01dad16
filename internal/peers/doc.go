// Package peers lets the processes of one user find each other and talk, with nothing
// configured and nothing on the disk: each has one endpoint, an abstract Unix socket
// whose name the others see in /proc/net/unix. It carries messages and knows who sent
// them; what they mean is the driver's affair. docs/peers.md describes the wire.
//
// Nobody is trusted for what he says. The kernel tells who is at the other end, and
// everything is bounded: lines, connections, and the time for each.
//
// The goroutines of an endpoint are started from a thread of their own, so that they are
// part of no testing/synctest bubble, which would wait for them.
package peers
