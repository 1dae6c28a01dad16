package swapper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"hotswap/internal/transfer"
)

// send writes the stage to dst.
func (p *pull) send(ctx context.Context, s *stage, dst io.Writer) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return failed("read the snapshot", err)
	}
	hash := sha256.New()
	buf := make([]byte, copyChunk)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.file.Read(buf)
		if n > 0 {
			hash.Write(buf[:n])
			if _, err := dst.Write(buf[:n]); err != nil {
				return notSent(err)
			}
			p.report.Bytes += int64(n)
			p.events.progress(StepSending, fmt.Sprintf("sent %d of %d bytes", p.report.Bytes, s.size), p.report.Bytes, s.size)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return failed("read the snapshot", err)
		}
	}
	if p.report.Bytes != s.size {
		return failed("read the snapshot", fmt.Errorf("%d bytes of %d", p.report.Bytes, s.size))
	}
	p.report.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return nil
}

// sendFile is send to a file.
func (p *pull) sendFile(ctx context.Context, s *stage, dst transfer.FileDest) error {
	cloned, err := dst.CloneFrom(ctx, s.file)
	if err != nil {
		return notSent(err)
	}
	d := digestBehind(s.file, dst.WantsDigest())
	defer d.stop()
	for p.report.Bytes < s.size {
		n := min(fileChunk, s.size-p.report.Bytes)
		if !cloned {
			if n, err = dst.CopyFrom(ctx, s.file, p.report.Bytes, n); err != nil {
				return notSent(err)
			}
		} else if err := ctx.Err(); err != nil {
			return err
		}
		if n == 0 {
			return failed("read the snapshot", fmt.Errorf("%d bytes of %d", p.report.Bytes, s.size))
		}
		p.report.Bytes += n
		d.upTo(p.report.Bytes)
		p.events.progress(StepSending, fmt.Sprintf("sent %d of %d bytes", p.report.Bytes, s.size), p.report.Bytes, s.size)
	}
	if err := dst.Truncate(ctx, s.size); err != nil {
		return notSent(err)
	}
	if p.report.SHA256, err = d.hex(ctx); err != nil {
		return failed("read the snapshot", err)
	}
	return nil
}

// sendPipe is send to a pipe.
func (p *pull) sendPipe(ctx context.Context, s *stage, dst transfer.PipeDest) (err error) {
	d := digestBehind(s.file, dst.WantsDigest())
	defer d.stop()
	d.upTo(s.size)
	for p.report.Bytes < s.size {
		n, err := dst.MoveFrom(ctx, s.file, p.report.Bytes, min(fileChunk, s.size-p.report.Bytes))
		if err != nil {
			return notSent(err)
		}
		if n == 0 {
			return failed("read the snapshot", fmt.Errorf("%d bytes of %d", p.report.Bytes, s.size))
		}
		p.report.Bytes += n
		p.events.progress(StepSending, fmt.Sprintf("sent %d of %d bytes", p.report.Bytes, s.size), p.report.Bytes, s.size)
	}
	if p.report.SHA256, err = d.hex(ctx); err != nil {
		return failed("read the snapshot", err)
	}
	return nil
}

// notSent is the error of a destination that takes no more.
func notSent(err error) error {
	f := failed("send the snapshot", err).(*failure)
	if errors.Is(f, ErrNoSpace) {
		f.hint = "make room where the copy goes, which may be another disk than the database's, and try again"
	}
	return f
}
