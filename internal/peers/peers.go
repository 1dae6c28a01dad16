package peers

import "time"

// Handler answers those who connect to an endpoint.
type Handler interface {
	// Serve answers one of them, from its first message on, on a goroutine of its own.
	// The connection is closed when it returns.
	Serve(c *Conn, first Message)
}

// Process is the one at the other end of a connection, as the kernel knows it.
type Process struct {
	PID int // 0 if it has none in this process's namespace
	UID uint32
}

const (
	// Silence is how long one of two peers may say nothing, when it has something to
	// say, until the other one goes on alone.
	Silence = 2 * time.Second
	// stillEvery is how often a pusher says that it is there.
	stillEvery = Silence / 4
	// firstPatience bounds the wait for a connection's first message.
	firstPatience = 2 * time.Second
	// maxConns bounds the connections that an endpoint serves at a time.
	maxConns = 32
	// maxPeers bounds how many endpoints are asked.
	maxPeers = 256
	// findPatience bounds the search for them, among names that strangers may have taken
	// by the thousand; a connect takes some 20 µs.
	findPatience = time.Second
)
