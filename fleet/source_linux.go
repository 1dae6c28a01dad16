package fleet

import (
	"context"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"hotswap/internal/transfer"
)

// source is a file that was fetched, or a backup, to which nothing writes any more: a push
// copies it within the kernel, or shares its blocks.
type source struct {
	*os.File
	size   int64
	urgent bool
}

var _ transfer.FileSource = source{}

func sourceOf(file *os.File, size int64, urgent bool) io.Reader { return source{file, size, urgent} }

func (s source) Size() int64 { return s.size }

func (s source) Urgent() bool { return s.urgent }

func (s source) CloneTo(_ context.Context, dst *os.File) (bool, error) {
	return unix.IoctlFileClone(int(dst.Fd()), int(s.Fd())) == nil, nil
}

func (s source) CopyTo(_ context.Context, dst *os.File, off, n int64) (int64, error) {
	return transfer.CopyRange(int(dst.Fd()), int(s.Fd()), off, n)
}

func (s source) Unchanged(context.Context) error { return nil }
