package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// digest reads the source once for the SHA-256 of its bytes, which are then
// read again to be sent. What can be read only once is kept in a temporary file.
func (s *source) digest(ctx context.Context, out *output) (string, error) {
	size := s.size
	t := newTransfer(size)
	if out.live != nil {
		out.live.showTransfer("reading", t.bar, true)
		defer out.live.endActivity(true)
	}
	from := s.Reader
	hash := sha256.New()
	into := io.MultiWriter(hash, t)
	if s.again != nil {
		from = io.NewSectionReader(s.again, 0, size)
	} else {
		s.file = nil // it is read here
		temp, err := s.tempFile()
		if err != nil {
			return "", err
		}
		into = io.MultiWriter(hash, t, temp)
		defer func() { s.size, s.Reader = t.bar.Current(), io.NewSectionReader(temp, 0, t.bar.Current()) }()
	}
	_, err := await(ctx, func() (int64, error) { return io.Copy(into, from) })
	if f, ok := errors.AsType[*failure](err); ok {
		return "", f // of another database that is the source
	}
	switch {
	case errors.Is(err, errInterrupted):
		return "", &failure{code: exitFailed, err: err, note: "nothing was sent"}
	case errors.Is(err, syscall.ENOSPC):
		return "", tempFailure(err)
	case err != nil:
		return "", fileFailure(fmt.Errorf("read %s: %w", s.name, err))
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// tempFile makes a file in $TMPDIR that ends with the source.
func (s *source) tempFile() (*os.File, error) {
	temp, err := os.CreateTemp("", "hotswap-source-*")
	if err != nil {
		return nil, tempFailure(err)
	}
	s.closers = append(s.closers, func() { temp.Close() })
	// It needs no name; so not even a kill leaves it behind.
	if err := os.Remove(temp.Name()); err != nil {
		return nil, fileFailure(err)
	}
	return temp, nil
}

// tempFailure is the failure of a temporary copy of the source.
func tempFailure(err error) error {
	return fileFailure(fmt.Errorf("spool the source to %s: %w", os.TempDir(), err)).
		withHint("set $TMPDIR to a directory with room for the source")
}
