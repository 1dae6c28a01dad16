//go:build !linux

package fdpass

import (
	"context"
	"net"
	"os"
	"time"

	"hotswap/internal/transfer"
)

const supported = false

// sendFile sends p as it is.
func sendFile(conn *net.UnixConn, _ *os.File, p []byte) (int, error) { return conn.Write(p) }

func appends(*os.File) bool { return true }

// Receiver receives nothing on this system.
type Receiver struct{}

// NewReceiver returns a Receiver.
func NewReceiver() *Receiver { return &Receiver{} }

// Conn wraps a connection.
func (*Receiver) Conn(conn *net.UnixConn) *Conn { return &Conn{conn} }

// Conn is a server's end of a connection.
type Conn struct{ *net.UnixConn }

// Take returns nil: nothing arrives.
func (*Conn) Take() *File { return nil }

// Watch returns ctx.
func (*Conn) Watch(ctx context.Context) (context.Context, func()) { return ctx, func() {} }

// File is never met on this system.
type File struct{}

func (*File) Readable() error                            { return nil }
func (*File) Writable() error                            { return nil }
func (*File) Same(os.FileInfo) bool                      { return false }
func (*File) Source(time.Duration) transfer.FileSource   { return nil }
func (*File) Dest(time.Duration, bool) transfer.FileDest { return nil }
func (*File) Close()                                     {}
