package fdpass

import (
	"io"
	"net"
	"os"
)

// Sender is a client's connection whose first bytes carry the descriptor of a
// file. It is for one writer at a time.
type Sender struct {
	*net.UnixConn
	file *os.File // nil once it is sent
	sent func()
}

// NewSender wraps conn. sent, unless it is nil, is called before the descriptor
// is on its way. The file stays the caller's to close.
func NewSender(conn *net.UnixConn, file *os.File, sent func()) *Sender {
	return &Sender{conn, file, sent}
}

// Write sends p, the first time with the descriptor beside it.
func (s *Sender) Write(p []byte) (int, error) {
	file := s.file
	if file == nil || len(p) == 0 {
		return s.UnixConn.Write(p)
	}
	s.file = nil
	if s.sent != nil {
		s.sent()
	}
	n, err := sendFile(s.UnixConn, file, p)
	if err != nil || n == len(p) {
		return n, err
	}
	more, err := s.UnixConn.Write(p[n:])
	return n + more, err
}

// Source returns src as a file if its descriptor stands for all that is left to
// read of it: a regular file at its beginning. Otherwise it returns nil.
func Source(src io.Reader) *os.File {
	file, ok := src.(*os.File)
	if !ok || !supported || !atStart(file) {
		return nil
	}
	return file
}

// Dest returns dst as a file if somebody else may fill it: an empty regular
// file, not opened for appending. Otherwise it returns nil.
func Dest(dst io.Writer) *os.File {
	file, ok := dst.(*os.File)
	if !ok || !supported || !atStart(file) || appends(file) {
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
