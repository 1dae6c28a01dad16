package swapper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"hotswap/internal/sqlitefile"
	"hotswap/internal/transfer"
)

// receive fills the stage from the source.
func (p *push) receive(ctx context.Context, src io.Reader) (err error) {
	p.phases.begin("receive")
	if patch, ok := src.(transfer.PatchSource); ok {
		err = p.stageHeld(patch.Base())
	} else {
		err = p.newStage()
	}
	if err != nil {
		return err
	}
	if p.inPlaceAhead() {
		p.stage.after, p.stage.passing = 1, true // the WAL, or the journal
		if p.opts.Backup {
			p.stage.besides = p.target.state.size
		}
	}
	if urgent, ok := src.(transfer.Urgent); ok && urgent.Urgent() {
		p.beUrgent(src)
	}
	received := func(n int64) {
		p.events.progress(StepReceiving, fmt.Sprintf("received %d bytes", n), n, p.opts.Size)
	}
	text := func() string { return fmt.Sprintf("received %d bytes", p.stage.size) }
	switch src := src.(type) {
	case transfer.PatchSource:
		var patched int64
		p.report.SHA256, patched, err = p.stage.receivePatch(ctx, src, received)
		text = func() string {
			return fmt.Sprintf("received %d bytes, of which %d differ from the live database and were sent", p.stage.size, patched)
		}
	case transfer.FileSource:
		err = p.stage.receiveFile(ctx, src, p.opts, received)
	case transfer.PipeSource:
		err = p.stage.receivePipe(ctx, src, p.opts, received)
	default:
		p.report.SHA256, err = p.stage.receive(ctx, src, p.opts, received)
	}
	p.report.Bytes = p.stage.size
	if err != nil {
		return p.noRoom(err)
	}
	p.events.step(StepReceived, text(), map[string]any{fieldBytes: p.stage.size})
	return nil
}

// beUrgent has the stage take what room there is. If that is too little, the backups go now that
// would go once the new one has its name; not what src is of, which is open.
func (p *push) beUrgent(src io.Reader) {
	p.stage.urgent = true
	if _, base := src.(transfer.PatchSource); !base && p.opts.Keep > 0 && p.stage.room(p.opts.Size, p.opts.Size) != nil {
		p.prune(p.opts.Keep - 1)
	}
}

func (p *push) newStage() (err error) {
	mode := fs.FileMode(private)
	if !p.target.exists {
		mode = 0o644 // what SQLite makes its files with
	}
	p.stage, err = createStage(p.target.path, kindStage, mode)
	return err
}

// receive fills the stage from src, of opts.Size bytes if that is not 0. The
// disk space is reserved ahead of the bytes, and never to the last of it: a
// stage that filled the disk would give the live database SQLITE_FULL.
func (s *stage) receive(ctx context.Context, src io.Reader, opts PushOptions, progress func(int64)) (digest string, err error) {
	size := opts.Size
	if err := s.reserve(0, size); err != nil {
		return "", err
	}
	reserved := size
	sum := newSourceDigest(src, opts.wantsDigest())
	w := newStageWriter(s.file, s.passing)
	defer w.close() // before anything else is done with the file
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		buf, err := w.buffer()
		if err != nil {
			return "", failed("write the stage", err)
		}
		n, readErr := fill(src, buf)
		if n > 0 {
			if s.size == 0 {
				if err := checkMagic(buf[:min(n, sqlitefile.HeaderSize)]); err != nil {
					return "", err
				}
			}
			if s.size+int64(n) > reserved {
				if err := s.reserve(s.size, max(reserveChunk, int64(n))); err != nil {
					if err := s.reserve(s.size, int64(n)); err != nil {
						return "", err
					}
					reserved = s.size + int64(n)
				} else {
					reserved = s.size + reserveChunk
				}
			}
			w.write(buf[:n])
			sum.write(buf[:n])
			s.size += int64(n)
			progress(s.size)
		}
		switch {
		case size > 0 && s.size > size:
			return "", bad(completeHint, "the source is too long: %d bytes were announced, and more arrived", size)
		case readErr == io.EOF:
			if s.size == 0 {
				return "", checkMagic(nil)
			}
			if size > 0 && s.size != size {
				return "", bad(completeHint, "the source is truncated: %d bytes were announced, %d arrived", size, s.size)
			}
			if err := w.close(); err != nil {
				return "", failed("write the stage", err)
			}
			// Gives back what was reserved and not needed.
			if err := s.file.Truncate(s.size); err != nil {
				return "", failed("truncate the stage", err)
			}
			return sum.hex(), nil
		case readErr != nil:
			return "", &failure{text: fmt.Sprintf("the source ended early, after %d bytes", s.size), cause: readErr,
				kinds: []error{ErrBadDatabase}, hint: completeHint}
		}
	}
}

// fill reads until buf is full or src has an error. It is not io.ReadFull,
// which returns io.ErrUnexpectedEOF for a last piece, as net/http does for a truncated
// body.
func fill(src io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = src.Read(buf[n:])
		n += m
	}
	return n, err
}

// receiveFile fills the stage from a file. Its digest is of what the stage got,
// since nobody knows what the source was at that moment, and goes on when it returns.
func (s *stage) receiveFile(ctx context.Context, src transfer.FileSource, opts PushOptions, progress func(int64)) error {
	total := src.Size()
	if total == 0 {
		return checkMagic(nil)
	}
	if size := opts.Size; size > 0 && total != size {
		return bad(completeHint, "the source is truncated: %d bytes were announced, the file has %d", size, total)
	}
	if err := s.reserve(0, 0); err != nil {
		return cmp.Or(s.reserve(0, total), err) // which says how much it is
	}
	cloned, err := src.CloneTo(ctx, s.file)
	if err != nil {
		return sourceFailed(err, 0)
	}
	if !cloned {
		if err := s.reserve(0, total); err != nil {
			return err
		}
	}
	s.digest = digestBehind(s.file, opts.wantsDigest())
	for s.size < total {
		n := min(fileChunk, total-s.size)
		if !cloned {
			if n, err = src.CopyTo(ctx, s.file, s.size, n); err != nil {
				return sourceFailed(err, s.size)
			}
		} else if err := ctx.Err(); err != nil {
			return err
		}
		if n == 0 {
			return bad(completeHint, "the source is truncated: it had %d bytes when it was opened, and %d when it was copied", total, s.size)
		}
		if s.size == 0 {
			head := make([]byte, sqlitefile.HeaderSize)
			m, err := s.file.ReadAt(head[:min(n, sqlitefile.HeaderSize)], 0)
			if err != nil && err != io.EOF {
				return failed("read the stage's header", err)
			}
			if err := checkMagic(head[:m]); err != nil {
				return err
			}
		}
		if !s.passing {
			startWriteback(s.file, s.size, n)
		}
		s.size += n
		s.digest.upTo(s.size)
		progress(s.size)
	}
	if err := src.Unchanged(ctx); err != nil {
		return sourceFailed(err, s.size)
	}
	return nil
}

// digested waits for the digest of what was received. To compute it takes a processor of
// its own while the stage is checked.
func (p *push) digested(ctx context.Context) error {
	d := p.stage.digest
	if d == nil {
		return nil
	}
	hex, err := d.hex(ctx)
	if err != nil {
		return failed("read the stage", err)
	}
	p.report.SHA256 = hex
	d.stop()
	p.stage.digest = nil
	return nil
}

// sourceFailed sorts the error of a transfer.FileSource: what failed may be the stage's
// own disk, or the source.
func sourceFailed(err error, at int64) error {
	if errors.Is(err, transfer.ErrSourceChanged) {
		return &failure{cause: err, kinds: []error{ErrBusy}, hint: "stop whatever writes to it and try again"}
	}
	return failed(fmt.Sprintf("copy the source, after %d bytes", at), err)
}
