package extents

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// ErrPatch: what was read is not a patch.
var ErrPatch = errors.New("not a valid patch")

// Reader reads a patch. It is for one goroutine.
type Reader struct {
	Header
	z    *zstd.Decoder
	src  *source
	next uint64 // the first extent that a run may begin with
	buf  []byte
	sum  [sha256.Size]byte
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

// SHA256 returns that of the result, once Next has returned io.EOF.
func (p *Reader) SHA256() [sha256.Size]byte { return p.sum }

// end demands that nothing comes after the end.
func (p *Reader) end() error {
	if _, err := io.ReadFull(p.z, p.sum[:]); err != nil {
		return p.failed("read the SHA-256 of its result", err)
	}
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

// Apply writes the result to w, in order: what is in no run is of the base, which has so
// many bytes. An error of the patch or of the base, or a result that has not the
// SHA-256 at its end, wraps ErrPatch; what was written then is worth nothing.
func (p *Reader) Apply(ctx context.Context, w io.Writer, base io.ReaderAt, size int64) error {
	hash := sha256.New()
	to := io.MultiWriter(hash, w)
	var at int64
	pass := func(off int64) error {
		if off > at && off > size {
			return fmt.Errorf("%w: it has nothing for what is at %d, nor has the base, of %d bytes", ErrPatch, max(at, size), size)
		}
		buf := make([]byte, min(off-at, longestRun))
		for at < off {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			n := min(off-at, int64(len(buf)))
			if _, err := io.ReadFull(io.NewSectionReader(base, at, n), buf[:n]); err != nil {
				return fmt.Errorf("%w: its base: %w", ErrPatch, readFailed(err, at))
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
			at += n
		}
		return nil
	}
	for {
		off, data, err := p.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := pass(off); err != nil {
			return err
		}
		if _, err := to.Write(data); err != nil {
			return err
		}
		at += int64(len(data))
	}
	if err := pass(p.Size); err != nil {
		return err
	}
	if sum := hash.Sum(nil); !bytes.Equal(sum, p.sum[:]) {
		return fmt.Errorf("%w: its result has the SHA-256 %x, and should have %x", ErrPatch, sum, p.sum)
	}
	return nil
}
