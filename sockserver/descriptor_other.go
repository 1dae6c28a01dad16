//go:build !linux

package sockserver

import (
	"context"
	"net"
	"os"
	"time"

	"hotswap/internal/transfer"
)

// Descriptors are passed on Linux only, where they can be received in a table
// of their own; elsewhere the bytes go through the body.

type serverConn struct{ *net.UnixConn }

func newServerConn(conn *net.UnixConn, _ keepers) net.Conn { return conn }

type keepers struct{}

func newKeepers() keepers { return keepers{} }

func unixConn(conn net.Conn) (*net.UnixConn, bool) {
	c, ok := conn.(*net.UnixConn)
	return c, ok
}

func (c *serverConn) take() *descriptor { return nil }

type descriptor struct{ limit time.Duration }

func (d *descriptor) close()                                              {}
func (d *descriptor) readable() error                                     { return nil }
func (d *descriptor) writable() error                                     { return nil }
func (d *descriptor) is(os.FileInfo) bool                                 { return false }
func (d *descriptor) source() transfer.FileSource                         { return nil }
func (d *descriptor) dest(digest bool) transfer.FileDest                  { return nil }
func (d *descriptor) watch(ctx context.Context) (context.Context, func()) { return ctx, func() {} }

// passes says whether a client passes descriptors.
const passes = false

func appends(*os.File) bool { return true }

// passDescriptor sends p as it is.
func passDescriptor(conn *net.UnixConn, _ *os.File, p []byte) (int, error) { return conn.Write(p) }
