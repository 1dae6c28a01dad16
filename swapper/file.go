package swapper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"hotswap/internal/sqlitefile"
	"hotswap/internal/transfer"
)

// fileChunk is how much is copied between two looks at the context.
const fileChunk = 8 << 20

// receiveFile fills the stage from a file. Its digest is of what the stage got,
// since nobody knows what the source was at that moment.
func (s *stage) receiveFile(ctx context.Context, src transfer.FileSource, opts PushOptions, progress func(int64)) (digest string, err error) {
	total := src.Size()
	if total == 0 {
		return "", checkMagic(nil)
	}
	if size := opts.Size; size > 0 && total != size {
		return "", bad(completeHint, "the source is truncated: %d bytes were announced, the file has %d", size, total)
	}
	if err := s.reserve(0, 0); err != nil {
		return "", err
	}
	cloned, err := src.CloneTo(ctx, s.file)
	if err != nil {
		return "", sourceFailed(err, 0)
	}
	if !cloned {
		if err := s.reserve(0, total); err != nil {
			return "", err
		}
	}
	d := digestBehind(s.file, opts.wantsDigest())
	defer d.stop()
	for s.size < total {
		n := min(fileChunk, total-s.size)
		if !cloned {
			if n, err = src.CopyTo(ctx, s.file, s.size, n); err != nil {
				return "", sourceFailed(err, s.size)
			}
		} else if err := ctx.Err(); err != nil {
			return "", err
		}
		if n == 0 {
			return "", bad(completeHint, "the source is truncated: it had %d bytes when it was opened, and %d when it was copied", total, s.size)
		}
		if s.size == 0 {
			head := make([]byte, sqlitefile.HeaderSize)
			m, err := s.file.ReadAt(head[:min(n, sqlitefile.HeaderSize)], 0)
			if err != nil && err != io.EOF {
				return "", failed("read the stage's header", err)
			}
			if err := checkMagic(head[:m]); err != nil {
				return "", err
			}
		}
		startWriteback(s.file, s.size, n)
		s.size += n
		d.upTo(s.size)
		progress(s.size)
	}
	if err := src.Unchanged(ctx); err != nil {
		return "", sourceFailed(err, s.size)
	}
	if digest, err = d.hex(ctx); err != nil {
		return "", failed("read the stage", err)
	}
	return digest, nil
}

// sourceFailed sorts the error of a transfer.FileSource: what failed may be the stage's
// own disk, or the source.
func sourceFailed(err error, at int64) error {
	if errors.Is(err, transfer.ErrSourceChanged) {
		return &failure{cause: err, kinds: []error{ErrBusy}, hint: "stop what writes it and try again"}
	}
	return failed(fmt.Sprintf("copy the source, after %d bytes", at), err)
}

// sendFile is send to a file.
func (op *operation) sendFile(ctx context.Context, s *stage, dst transfer.FileDest) error {
	cloned, err := dst.CloneFrom(ctx, s.file)
	if err != nil {
		return failed("send the snapshot", err)
	}
	d := digestBehind(s.file, dst.WantsDigest())
	defer d.stop()
	for op.report.Bytes < s.size {
		n := min(fileChunk, s.size-op.report.Bytes)
		if !cloned {
			if n, err = dst.CopyFrom(ctx, s.file, op.report.Bytes, n); err != nil {
				return failed("send the snapshot", err)
			}
		} else if err := ctx.Err(); err != nil {
			return err
		}
		if n == 0 {
			return failed("read the snapshot", fmt.Errorf("%d bytes of %d", op.report.Bytes, s.size))
		}
		op.report.Bytes += n
		d.upTo(op.report.Bytes)
		op.progress(StepSending, fmt.Sprintf("sent %d of %d bytes", op.report.Bytes, s.size), op.report.Bytes, s.size)
	}
	if err := dst.Truncate(ctx, s.size); err != nil {
		return failed("send the snapshot", err)
	}
	if op.report.SHA256, err = d.hex(ctx); err != nil {
		return failed("read the snapshot", err)
	}
	return nil
}

// trailingDigest computes the SHA-256 of a file while it is being copied, on a
// goroutine of its own behind the copying. It is still the slower of the two. A
// nil one computes nothing.
type trailingDigest struct {
	ready chan int64    // how far the file is there; the latest value counts
	done  chan struct{} // closed when sha and err are set
	quit  chan struct{} // closed by stop
	sha   []byte
	err   error
}

func digestBehind(f *os.File, wanted bool) *trailingDigest {
	if !wanted {
		return nil
	}
	d := &trailingDigest{ready: make(chan int64, 1), done: make(chan struct{}), quit: make(chan struct{})}
	go d.run(f)
	return d
}

func (d *trailingDigest) run(f *os.File) {
	defer close(d.done)
	hash := sha256.New()
	buf := make([]byte, copyChunk)
	var at int64
	for {
		select {
		case <-d.quit:
			return
		case end, more := <-d.ready:
			if !more {
				d.sha = hash.Sum(nil)
				return
			}
			for at < end && !d.stopped() {
				n, err := f.ReadAt(buf[:min(int64(len(buf)), end-at)], at)
				if n == 0 {
					d.err = err
					return
				}
				hash.Write(buf[:n])
				at += int64(n)
			}
		}
	}
}

func (d *trailingDigest) stopped() bool {
	select {
	case <-d.quit:
		return true
	default:
		return false
	}
}

// upTo says that the file is complete up to end. It does not wait.
func (d *trailingDigest) upTo(end int64) {
	if d == nil {
		return
	}
	select {
	case <-d.ready: // an older value that was not taken
	default:
	}
	d.ready <- end
}

// hex waits for the digest of all that upTo announced.
func (d *trailingDigest) hex(ctx context.Context) (string, error) {
	if d == nil {
		return "", nil
	}
	close(d.ready)
	select {
	case <-d.done:
		return hex.EncodeToString(d.sha), d.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// stop returns once the file is no longer read.
func (d *trailingDigest) stop() {
	if d != nil {
		close(d.quit)
		<-d.done
	}
}
