package extents

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	magic = "hspatch1"
	// window is how far back a frame may refer, in bytes.
	window = 8 << 20
	// longestRun is how many bytes a run may have.
	longestRun = 1 << 20

	headerSize = len(magic) + 4 + 8 + sha256.Size
	runSize    = 8 + 4
)

// Header says what a patch makes.
type Header struct {
	Extent int64 // in bytes
	Size   int64 // of the result, in bytes
	SHA256 [sha256.Size]byte
}

func (h Header) layout() Layout { return Layout{Extent: h.Extent} }

// Write writes a patch that makes the file, of h.Size bytes, out of a base from which
// these extents differ. progress is told how many of their bytes are written.
func Write(ctx context.Context, w io.Writer, h Header, file io.ReaderAt, differing Set, progress func(int64)) (err error) {
	z, err := zstd.NewWriter(w, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	head := append(make([]byte, 0, headerSize), magic...)
	head = binary.BigEndian.AppendUint32(head, uint32(h.Extent))
	head = binary.BigEndian.AppendUint64(head, uint64(h.Size))
	if _, err := z.Write(append(head, h.SHA256[:]...)); err != nil {
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
	end := binary.BigEndian.AppendUint64(nil, uint64(h.layout().Extents(h.Size)))
	if _, err := z.Write(append(end, 0, 0, 0, 0)); err != nil {
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

// ErrPatch: what was read is not a patch.
var ErrPatch = errors.New("not a valid patch")

// Reader reads a patch. It is for one goroutine.
type Reader struct {
	Header
	z    *zstd.Decoder
	src  *source
	next uint64 // the first extent that a run may begin with
	buf  []byte
}

// source notes the error of what a patch is read from, to tell it from a patch's own.
type source struct {
	io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// NewReader reads the header of a patch. An error is the one of r, or wraps ErrPatch.
// The caller closes the Reader.
func NewReader(r io.Reader) (*Reader, error) {
	p := &Reader{src: &source{Reader: r}}
	var err error
	p.z, err = zstd.NewReader(p.src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(window))
	if err != nil {
		return nil, p.failed("begin", err)
	}
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(p.z, head); err != nil {
		p.Close()
		return nil, p.failed("read its header", err)
	}
	p.Extent = int64(binary.BigEndian.Uint32(head[len(magic):]))
	p.Size = int64(binary.BigEndian.Uint64(head[len(magic)+4:]))
	copy(p.SHA256[:], head[len(magic)+12:])
	switch {
	case string(head[:len(magic)]) != magic:
		err = fmt.Errorf("%w: it begins with %q", ErrPatch, head[:len(magic)])
	default:
		if err = p.layout().Check(p.Size); err != nil {
			err = fmt.Errorf("%w: %w", ErrPatch, err)
		}
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Reader) failed(doing string, err error) error {
	switch {
	case p.src.err != nil:
		return p.src.err
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it ends early (%s)", ErrPatch, doing)
	}
	return fmt.Errorf("%w: %s: %w", ErrPatch, doing, err)
}

// Next returns what the result has at an offset, at most 1 MiB of it, valid until the
// next call. After the last it returns io.EOF, and then the patch was complete.
func (p *Reader) Next() (off int64, data []byte, err error) {
	var head [runSize]byte
	if _, err := io.ReadFull(p.z, head[:]); err != nil {
		return 0, nil, p.failed("read a run", err)
	}
	first, count := binary.BigEndian.Uint64(head[:]), uint64(binary.BigEndian.Uint32(head[8:]))
	all := uint64(p.layout().Extents(p.Size))
	switch {
	case count == 0 && first == all:
		return 0, nil, p.end()
	case count == 0 || count > uint64(longestRun/p.Extent) || first < p.next || first > all || count > all-first:
		return 0, nil, fmt.Errorf("%w: a run of %d extents from number %d on, where the next may be %d of %d", ErrPatch, count, first, p.next, all)
	}
	p.next = first + count
	off = int64(first) * p.Extent
	n := min(int64(count)*p.Extent, p.Size-off)
	if p.buf == nil {
		p.buf = make([]byte, longestRun)
	}
	if _, err := io.ReadFull(p.z, p.buf[:n]); err != nil {
		return 0, nil, p.failed("read the bytes of a run", err)
	}
	return off, p.buf[:n], nil
}

// end demands that nothing comes after the end.
func (p *Reader) end() error {
	var more [1]byte
	switch n, err := io.ReadFull(p.z, more[:]); {
	case n > 0:
		return fmt.Errorf("%w: there is more behind its end", ErrPatch)
	case err != io.EOF:
		return p.failed("read its end", err)
	}
	return io.EOF
}

// Close frees what the reading took.
func (p *Reader) Close() { p.z.Close() }
