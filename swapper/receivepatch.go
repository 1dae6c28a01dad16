package swapper

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"hotswap/internal/transfer"
)

// receivePatch writes what differs over the stage, which has the base, and returns the
// SHA-256 of what it makes. That is what the source says, or the stage is not looked at
// any further: until then it may be anything. The stage grows by what arrives, whatever
// length is announced.
func (s *stage) receivePatch(ctx context.Context, src transfer.PatchSource, progress func(int64)) (digest string, patched int64, err error) {
	base := s.size
	s.size = 0
	size, err := src.Begin()
	if err != nil {
		return "", 0, notPatched(err)
	}
	grows := max(0, size-base)
	if err := s.room(grows, grows+size*s.after+s.besides); err != nil {
		return "", 0, err
	}
	if size < base {
		if err := s.file.Truncate(size); err != nil {
			return "", 0, failed("set the length of the stage", err)
		}
	}
	w := patchWriter{stage: s, hash: sha256.New(), end: min(base, size), buf: make([]byte, copyChunk)}
	w.reserved = w.end
	for {
		off, data, err := src.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", 0, notPatched(err)
		}
		if err := w.write(ctx, off, data); err != nil {
			return "", 0, err
		}
		patched += int64(len(data))
		progress(w.at)
	}
	if err := w.pass(ctx, size); err != nil {
		return "", 0, err
	}
	s.size = size
	progress(size)
	if !s.passing {
		startWriteback(s.file, 0, size)
	}
	want := src.SHA256()
	if sum := w.hash.Sum(nil); !bytes.Equal(sum, want[:]) {
		return "", 0, notPatched(fmt.Errorf("%w: it has the SHA-256 %x, and should have %x", transfer.ErrPatched, sum, want))
	}
	return hex.EncodeToString(want[:]), patched, s.checkBeginning()
}

func notPatched(err error) error {
	return &failure{text: "apply what differs to the snapshot", cause: err, hint: "send the whole database (--whole)"}
}

// patchWriter writes pieces over a stage in their order, and digests it on the way.
type patchWriter struct {
	stage    *stage
	hash     hash.Hash
	at       int64 // how far it is
	end      int64 // of what the stage has
	reserved int64
	buf      []byte
}

func (w *patchWriter) write(ctx context.Context, off int64, data []byte) error {
	if err := w.pass(ctx, off); err != nil {
		return err
	}
	end := off + int64(len(data))
	if end > w.reserved {
		if err := w.stage.reserve(w.reserved, end-w.reserved); err != nil {
			return err
		}
		w.reserved = end
	}
	if _, err := w.stage.file.WriteAt(data, off); err != nil {
		return failed("write the stage", err)
	}
	w.hash.Write(data)
	w.at, w.end = end, max(w.end, end)
	return nil
}

// pass leaves the stage as it is up to an offset.
func (w *patchWriter) pass(ctx context.Context, to int64) error {
	if to > w.end {
		return notPatched(fmt.Errorf("%w: it has nothing for what is at %d, nor has the snapshot", transfer.ErrPatched, w.end))
	}
	for w.at < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := w.stage.file.ReadAt(w.buf[:min(int64(len(w.buf)), to-w.at)], w.at)
		if n == 0 {
			return failed("read the stage", err)
		}
		w.hash.Write(w.buf[:n])
		w.at += int64(n)
	}
	return nil
}
