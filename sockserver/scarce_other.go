//go:build !linux

package sockserver

import "net"

// spare is nothing here: without a free descriptor, a client waits until there is one.
type spare struct{}

func (*spare) open()  {}
func (*spare) close() {}

func (l *listener) acceptUnix() (*net.UnixConn, error) { return l.AcceptUnix() }
