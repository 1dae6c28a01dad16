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

// A Carrier is a reader or a writer that does something of its own, and is not needed
// if the descriptor of what is below it can be passed.
type Carrier interface {
	// Descriptor returns the file, or nil.
	Descriptor() *os.File
}

// fileOf returns the file that a stream is, or carries; nil for none.
func fileOf(stream any) *os.File {
	switch s := stream.(type) {
	case *os.File:
		return s
	case Carrier:
		return s.Descriptor()
	}
	return nil
}

// access is what a file was opened for.
type access struct{ read, write, appends bool }

// Whole returns the regular file that src is all of, from its beginning; nil if it is
// none. That may be on any system.
func Whole(src io.Reader) *os.File {
	file := fileOf(src)
	if file == nil || !atStart(file) {
		return nil
	}
	return file
}

// Source returns src as a file if its descriptor stands for all that is left to
// read of it: a regular file at its beginning, or a pipe. Otherwise it returns nil.
func Source(src io.Reader) *os.File {
	file := fileOf(src)
	if file == nil || !supported || !accessOf(file).read || !IsPipe(file) && !atStart(file) {
		return nil
	}
	return file
}

// Dest returns dst as a file if somebody else may fill it: an empty regular
// file, not opened for appending, or a pipe. Otherwise it returns nil.
func Dest(dst io.Writer) *os.File {
	file := fileOf(dst)
	if file == nil || !supported {
		return nil
	}
	switch opened := accessOf(file); {
	case !opened.write:
		return nil
	case IsPipe(file):
		return file
	case !atStart(file) || opened.appends:
		return nil
	}
	if info, err := file.Stat(); err != nil || info.Size() > 0 {
		return nil
	}
	return file
}

// IsPipe reports whether file is a pipe, named or not.
func IsPipe(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode().Type() == os.ModeNamedPipe
}

func atStart(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	at, err := file.Seek(0, io.SeekCurrent)
	return err == nil && at == 0
}
