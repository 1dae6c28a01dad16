package pages

import (
	"bytes"
	"context"
	"errors"
	"io"
	"syscall"

	"hotswap/internal/transfer"
)

// Diff finds the pages in which a new database differs from the one whose snapshot is
// copied to it. It implements snapshot.Dest.
type Diff struct {
	new      io.ReaderAt
	pageSize int64
	differs  []bool // by the number of the page, less 1
	old, buf []byte
}

// NewDiff returns a Diff of the database in file, of so many pages. Until something is
// copied to it, every page differs.
func NewDiff(file io.ReaderAt, pages, pageSize int64) *Diff {
	d := &Diff{new: file, pageSize: pageSize, differs: make([]bool, pages)}
	for i := range d.differs {
		d.differs[i] = true
	}
	return d
}

// Count returns how many pages differ.
func (d *Diff) Count() (n int64) {
	for _, differs := range d.differs {
		if differs {
			n++
		}
	}
	return n
}

// run returns the first pages from page on that differ, most of them at most: pages
// first to first+n-1. n is 0 if no more do, and then first is behind the last page.
func (d *Diff) run(page, most int) (first, n int) {
	for page <= len(d.differs) && !d.differs[page-1] {
		page++
	}
	for n < most && page+n <= len(d.differs) && d.differs[page+n-1] {
		n++
	}
	return page, n
}

// CloneFrom does nothing: there is nothing to share blocks with.
func (d *Diff) CloneFrom(context.Context, syscall.Conn) (bool, error) { return false, nil }

// CopyFrom compares n bytes at offset off of src, or less where src ends.
func (d *Diff) CopyFrom(ctx context.Context, src syscall.Conn, off, n int64) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if int64(len(d.old)) < n {
		d.old = make([]byte, n)
	}
	old := d.old[:n]
	got, err := transfer.ReadAt(src, old, off)
	if err != nil {
		return 0, err
	}
	if err := d.compare(old[:got], off); err != nil {
		return 0, err
	}
	return int64(got), nil
}

// Patch compares pages of the log: what the database has in place of what was copied.
func (d *Diff) Patch(_ context.Context, pieces []transfer.Piece) error {
	for _, p := range pieces {
		if err := d.compare(p.Data, p.Off); err != nil {
			return err
		}
	}
	return nil
}

// Truncate makes every page behind the end of the old database differ.
func (d *Diff) Truncate(_ context.Context, size int64) error {
	for i := size / d.pageSize; i < int64(len(d.differs)); i++ {
		d.differs[i] = true
	}
	return nil
}

// compare compares old, of whole pages but for the last one, with what the new database
// has at the same offset.
func (d *Diff) compare(old []byte, off int64) error {
	if len(d.buf) < len(old) {
		d.buf = make([]byte, len(old))
	}
	got, err := d.new.ReadAt(d.buf[:len(old)], off)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	size := int(d.pageSize)
	for at, page := 0, off/d.pageSize; at < len(old) && page < int64(len(d.differs)); at, page = at+size, page+1 {
		end := at + size
		d.differs[page] = end > len(old) || end > got || !bytes.Equal(old[at:end], d.buf[at:end])
	}
	return nil
}
