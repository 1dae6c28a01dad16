package extents

import (
	"context"
	"crypto/sha256"
	"io"
)

// Sum is the SHA-256 of a file, which is computed on a goroutine of its own: beside the
// comparison, or the sending.
type Sum struct {
	stop func()
	done chan struct{} // closed when what follows is set
	sum  [sha256.Size]byte
	err  error
}

// StartSum begins to compute the SHA-256 of a file of size bytes.
func StartSum(ctx context.Context, file io.ReaderAt, size int64) *Sum {
	ctx, stop := context.WithCancel(ctx)
	s := &Sum{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		hash, buf := sha256.New(), make([]byte, min(longestRun, size))
		for at := int64(0); at < size; {
			if s.err = context.Cause(ctx); s.err != nil {
				return
			}
			n, err := file.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
			hash.Write(buf[:n])
			if at += int64(n); err != nil && at < size {
				s.err = readFailed(err, at)
				return
			}
		}
		hash.Sum(s.sum[:0])
	}()
	return s
}

// Wait returns the sum.
func (s *Sum) Wait() ([sha256.Size]byte, error) {
	<-s.done
	return s.sum, s.err
}

// Stop ends the computing, and returns once the file is not read any more.
func (s *Sum) Stop() {
	s.stop()
	<-s.done
}
