//go:build !linux

package peers

import (
	"errors"
	"net"
	"time"

	"hotswap/internal/fileid"
)

// Endpoint is where other processes reach this one; here there is none.
type Endpoint struct{}

// Listen fails: there are no abstract sockets.
func Listen(Handler) (*Endpoint, error) { return nil, errors.ErrUnsupported }

// Name returns "".
func (e *Endpoint) Name() string { return "" }

// Close does nothing.
func (e *Endpoint) Close() {}

// Conn is a connection between two peers; here there is none.
type Conn struct {
	Process Process
	Name    string
}

func (c *Conn) Send(Message) error                     { return errors.ErrUnsupported }
func (c *Conn) Receive(time.Duration) (Message, error) { return Message{}, errors.ErrUnsupported }
func (c *Conn) SayStill()                              {}
func (c *Conn) Close()                                 {}

// Of returns nobody.
func Of(*net.UnixConn) Process { return Process{} }

// Command returns "".
func (p Process) Command() string { return "" }

// Stopped returns false.
func (p Process) Stopped() bool { return false }

// Find finds nobody.
func Find(string, func(string) bool) []*Conn { return nil }

// ClaimedError is returned by Claim if another process has the file.
type ClaimedError struct{ Process Process }

func (e *ClaimedError) Error() string { return "another process is replacing it" }

// Claim fails.
func Claim(fileid.ID) (release func(), err error) { return nil, errors.ErrUnsupported }
