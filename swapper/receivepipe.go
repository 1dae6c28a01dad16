package swapper

import (
	"context"
	"io"

	"hotswap/internal/sqlitefile"
	"hotswap/internal/transfer"
)

// receivePipe is receive from a pipe, whose bytes do not pass through the program. The
// digest is of what the stage got, and goes on when it returns.
func (s *stage) receivePipe(ctx context.Context, src transfer.PipeSource, opts PushOptions, progress func(int64)) (err error) {
	size := opts.Size
	if err := s.reserve(0, size); err != nil {
		return err
	}
	reserved := size
	s.digest = digestBehind(s.file, opts.wantsDigest())
	var flushed int64
	for checked := false; ; {
		if s.size == reserved {
			if reserved, err = s.reserveAhead(); err != nil {
				return err
			}
		}
		n, err := src.MoveTo(ctx, s.file, s.size, min(fileChunk, reserved-s.size))
		if err != nil {
			return sourceFailed(err, s.size)
		}
		s.size += n
		if !checked && (s.size >= sqlitefile.HeaderSize || n == 0) {
			if err := s.checkBeginning(); err != nil {
				return err
			}
			checked = true
		}
		if n == 0 {
			break
		}
		if !s.passing && s.size-flushed >= flushEvery {
			startWriteback(s.file, flushed, s.size-flushed)
			flushed = s.size
		}
		s.digest.upTo(s.size)
		progress(s.size)
	}
	if size > 0 && s.size != size {
		return bad(completeHint, "the source is truncated: %d bytes were announced, %d arrived", size, s.size)
	}
	// Gives back what was reserved and not needed.
	if err := s.file.Truncate(s.size); err != nil {
		return failed("truncate the stage", err)
	}
	return nil
}

// reserveAhead reserves space behind what there is, less as the disk fills up, and
// returns up to where.
func (s *stage) reserveAhead() (end int64, err error) {
	for _, n := range []int64{reserveChunk, copyChunk, 64 << 10} {
		if err = s.reserve(s.size, n); err == nil {
			return s.size + n, nil
		}
	}
	return 0, err
}

// checkBeginning refuses a stage that does not begin as a database does.
func (s *stage) checkBeginning() error {
	head := make([]byte, min(s.size, sqlitefile.HeaderSize))
	if _, err := s.file.ReadAt(head, 0); err != nil && err != io.EOF {
		return failed("read the stage's header", err)
	}
	return checkMagic(head)
}
