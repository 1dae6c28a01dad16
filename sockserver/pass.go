package sockserver

import (
	"io"
	"math"
	"net"
	"os"
)

// passTimeout is how long a push that passed a descriptor waits to be asked for
// its body: for ever, since a server that took the descriptor asks for none.
const passTimeout = math.MaxInt64

// passingConn is a client's connection whose first bytes carry a descriptor.
type passingConn struct {
	*net.UnixConn
	file *os.File
	sent func() // called before; nil for nothing to call
}

func (c *passingConn) Write(p []byte) (int, error) {
	file := c.file
	if file == nil || len(p) == 0 {
		return c.UnixConn.Write(p)
	}
	c.file = nil
	if c.sent != nil {
		c.sent()
	}
	n, err := passDescriptor(c.UnixConn, file, p)
	if err != nil || n == len(p) {
		return n, err
	}
	more, err := c.UnixConn.Write(p[n:])
	return n + more, err
}

// sourceFile is src if its descriptor stands for all that it has left to read: a
// regular file at its beginning.
func sourceFile(src io.Reader) *os.File {
	file, ok := src.(*os.File)
	if !ok || !passes || !atStart(file) {
		return nil
	}
	return file
}

// destFile is dst if the server may fill it: a regular file that is empty, and
// not opened for appending.
func destFile(dst io.Writer) *os.File {
	file, ok := dst.(*os.File)
	if !ok || !passes || !atStart(file) || appends(file) {
		return nil
	}
	if info, err := file.Stat(); err != nil || info.Size() > 0 {
		return nil
	}
	return file
}

func atStart(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	at, err := file.Seek(0, io.SeekCurrent)
	return err == nil && at == 0
}
