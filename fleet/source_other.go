//go:build !linux

package fleet

import (
	"io"
	"os"
)

// source is a file that was fetched, or a backup.
type source struct {
	*io.SectionReader
	urgent bool
}

func sourceOf(file *os.File, size int64, urgent bool) io.Reader {
	return source{io.NewSectionReader(file, 0, size), urgent}
}

func (s source) Urgent() bool { return s.urgent }
