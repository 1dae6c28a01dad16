package extents

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

const (
	// SmallestExtent and LargestExtent are in bytes.
	SmallestExtent = 4 << 10
	LargestExtent  = 64 << 10
	// GroupExtents is how many extents are a group.
	GroupExtents = 64
	// HashSize is the length of a hash in bytes.
	HashSize = 8
	// KeySize is the length of a layout's key in bytes.
	KeySize = 16
	// MostExtents is how many extents a file may have, which bounds what the sets of them
	// take. They are a terabyte at 4 KiB.
	MostExtents = 1 << 28
)

// Hash is of an extent, or of a group.
type Hash [HashSize]byte

// Layout is how two files are divided and hashed, the same at both ends.
type Layout struct {
	Extent int64 // in bytes
	Key    [KeySize]byte
}

// NewLayout returns the layout for a database of that page size, with a key of its own.
func NewLayout(pageSize int64) Layout {
	l := Layout{Extent: min(max(pageSize, SmallestExtent), LargestExtent)}
	rand.Read(l.Key[:])
	return l
}

// Check refuses a layout that can't be one, for a file of that size.
func (l Layout) Check(size int64) error {
	switch {
	case l.Extent < SmallestExtent || l.Extent > LargestExtent || l.Extent&(l.Extent-1) != 0:
		return fmt.Errorf("extents of %d bytes, which is not a power of two from %d to %d", l.Extent, SmallestExtent, LargestExtent)
	case size < 0 || size > l.Extent*MostExtents:
		return fmt.Errorf("%d bytes in extents of %d, of which there may be %d", size, l.Extent, MostExtents)
	}
	return nil
}

// Extents returns how many extents a file of that size has.
func (l Layout) Extents(size int64) int { return int((size + l.Extent - 1) / l.Extent) }

// Groups returns how many groups.
func (l Layout) Groups(size int64) int {
	return (l.Extents(size) + GroupExtents - 1) / GroupExtents
}

// InGroup returns how many extents of a file are in its group g.
func (l Layout) InGroup(g int, size int64) int {
	return max(0, min(GroupExtents, l.Extents(size)-g*GroupExtents))
}

// hasher hashes the groups of one file.
type hasher struct {
	Layout
	file io.ReaderAt
	size int64
	buf  []byte                        // of a group
	sums [GroupExtents * HashSize]byte // of its extents
}

func (l Layout) hasher(file io.ReaderAt, size int64) *hasher {
	return &hasher{Layout: l, file: file, size: size, buf: make([]byte, GroupExtents*l.Extent)}
}

// group reads group g, and returns its bytes and the hashes of its extents.
func (h *hasher) group(ctx context.Context, g int) (data, sums []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, context.Cause(ctx)
	}
	off := int64(g) * GroupExtents * h.Extent
	data = h.buf[:min(int64(len(h.buf)), h.size-off)]
	if _, err := io.ReadFull(io.NewSectionReader(h.file, off, int64(len(data))), data); err != nil {
		return nil, nil, readFailed(err, off)
	}
	sums = h.sums[:0]
	hash := sha256.New()
	var sum [sha256.Size]byte
	for rest := data; len(rest) > 0; {
		n := min(int64(len(rest)), h.Extent)
		hash.Reset()
		hash.Write(h.Key[:])
		hash.Write(rest[:n])
		sums = append(sums, hash.Sum(sum[:0])[:HashSize]...)
		rest = rest[n:]
	}
	return data, sums, nil
}

func readFailed(err error, off int64) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the file has become shorter")
	}
	return fmt.Errorf("read what is at %d: %w", off, err)
}

// HashGroups calls each with the hashes of the first n groups of the file, in their order.
func (l Layout) HashGroups(ctx context.Context, file io.ReaderAt, size int64, n int, each func(Hash) error) error {
	h := l.hasher(file, size)
	group := sha256.New()
	for g := range n {
		_, sums, err := h.group(ctx, g)
		if err != nil {
			return err
		}
		group.Reset()
		group.Write(l.Key[:])
		group.Write(sums)
		if err := each(Hash(group.Sum(nil)[:HashSize])); err != nil {
			return err
		}
	}
	return nil
}

// HashExtents calls each with the hashes of the extents of every group in the set, one
// after the other in one slice, which is valid during the call.
func (l Layout) HashExtents(ctx context.Context, file io.ReaderAt, size int64, groups Set, each func(g int, hashes []byte) error) error {
	h := l.hasher(file, size)
	for g := range groups.All() {
		_, sums, err := h.group(ctx, g)
		if err != nil {
			return err
		}
		if err := each(g, sums); err != nil {
			return err
		}
	}
	return nil
}
