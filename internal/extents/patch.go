package extents

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	magic = "hspatch2"
	// window is how far back a frame may refer, in bytes.
	window = 8 << 20
	// longestRun is how many bytes a run may have.
	longestRun = 1 << 20

	headerSize = len(magic) + 4 + 8
	runSize    = 8 + 4
)

// Header says what a patch makes.
type Header struct {
	Extent int64 // in bytes
	Size   int64 // of the result, in bytes
}

func (h Header) layout() Layout { return Layout{Extent: h.Extent} }

// Write writes a patch that makes the file, of h.Size bytes, out of a base from which
// these extents differ. sum is called at its end, for the file's SHA-256; progress is told
// how many bytes of the extents are written.
func Write(ctx context.Context, w io.Writer, h Header, file io.ReaderAt, differing Set, sum func() ([sha256.Size]byte, error), progress func(int64)) error {
	z, err := zstd.NewWriter(w, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	head := append(make([]byte, 0, headerSize), magic...)
	head = binary.BigEndian.AppendUint32(head, uint32(h.Extent))
	if _, err := z.Write(binary.BigEndian.AppendUint64(head, uint64(h.Size))); err != nil {
		return err
	}
	buf := make([]byte, runSize+longestRun)
	var done int64
	for first, count := range runs(differing, int(longestRun/h.Extent)) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		off := int64(first) * h.Extent
		data := buf[runSize : runSize+min(int64(count)*h.Extent, h.Size-off)]
		if _, err := io.ReadFull(io.NewSectionReader(file, off, int64(len(data))), data); err != nil {
			return readFailed(err, off)
		}
		binary.BigEndian.PutUint64(buf, uint64(first))
		binary.BigEndian.PutUint32(buf[8:], uint32(count))
		if _, err := z.Write(buf[:runSize+len(data)]); err != nil {
			return err
		}
		done += int64(len(data))
		progress(done)
	}
	whole, err := sum()
	if err != nil {
		return err
	}
	end := binary.BigEndian.AppendUint64(nil, uint64(h.layout().Extents(h.Size)))
	if _, err := z.Write(append(append(end, 0, 0, 0, 0), whole[:]...)); err != nil {
		return err
	}
	return z.Close()
}

// runs yields the numbers of a set as runs of at most so many, each its first number and
// how many follow one another from there.
func runs(s Set, longest int) func(yield func(first, count int) bool) {
	return func(yield func(first, count int) bool) {
		first, count := 0, 0
		for i := range s.All() {
			if count > 0 && i == first+count && count < longest {
				count++
				continue
			}
			if count > 0 && !yield(first, count) {
				return
			}
			first, count = i, 1
		}
		if count > 0 {
			yield(first, count)
		}
	}
}
