//go:build !linux

package fdpass

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

const supported = false

// sendFile sends p as it is.
func sendFile(conn *net.UnixConn, _ *os.File, p []byte) (int, error) { return conn.Write(p) }

func accessOf(*os.File) access { return access{} }

// Await is for what Source returns, which is nothing here.
func Await(context.Context, *os.File) error { return errors.ErrUnsupported }

// Unread is for what Dest returns, which is nothing here.
func Unread(*os.File) bool { return false }

// Widen does nothing on this system.
func Widen(*os.File) {}

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

func (*File) Readable() error                    { return nil }
func (*File) Writable() error                    { return nil }
func (*File) Same(os.FileInfo) bool              { return false }
func (*File) Source(time.Duration) io.Reader     { return nil }
func (*File) Dest(time.Duration, bool) io.Writer { return nil }
func (*File) Close()                             {}
