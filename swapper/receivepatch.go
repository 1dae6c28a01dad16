package swapper

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	"hotswap/internal/transfer"
)

// receivePatch writes what differs over the stage, which has the base, and returns the
// SHA-256 of what it makes. That is what the source says, or the stage is not looked at
// any further: until then it may be anything.
func (s *stage) receivePatch(ctx context.Context, src transfer.PatchSource, progress func(int64)) (digest string, patched int64, err error) {
	base := s.size
	s.size = 0
	size, want, err := src.Begin()
	if err != nil {
		return "", 0, notPatched(err)
	}
	if err := s.reserve(min(base, size), max(0, size-base)); err != nil {
		return "", 0, err
	}
	if err := s.file.Truncate(size); err != nil {
		return "", 0, failed("set the length of the stage", err)
	}
	w := patchWriter{file: s.file, hash: sha256.New(), buf: make([]byte, copyChunk)}
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
	if sum := w.hash.Sum(nil); !bytes.Equal(sum, want[:]) {
		return "", 0, notPatched(fmt.Errorf("%w: it has the SHA-256 %x, and should have %x", transfer.ErrPatched, sum, want))
	}
	return hex.EncodeToString(want[:]), patched, s.checkBeginning()
}

func notPatched(err error) error {
	return &failure{text: "apply what differs to the snapshot", cause: err, hint: "send the whole database (--whole)"}
}

// patchWriter writes pieces over a file in their order, and digests it on the way.
type patchWriter struct {
	file *os.File
	hash hash.Hash
	at   int64 // how far it is
	buf  []byte
}

func (w *patchWriter) write(ctx context.Context, off int64, data []byte) error {
	if err := w.pass(ctx, off); err != nil {
		return err
	}
	if _, err := w.file.WriteAt(data, off); err != nil {
		return failed("write the stage", err)
	}
	w.hash.Write(data)
	w.at += int64(len(data))
	return nil
}

// pass leaves the file as it is up to an offset.
func (w *patchWriter) pass(ctx context.Context, to int64) error {
	for w.at < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := w.file.ReadAt(w.buf[:min(int64(len(w.buf)), to-w.at)], w.at)
		if n == 0 {
			return failed("read the stage", err)
		}
		w.hash.Write(w.buf[:n])
		w.at += int64(n)
	}
	return nil
}
