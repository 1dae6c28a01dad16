package swapper

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"

	"hotswap/internal/transfer"
)

// sourceDigest is the digest of what came from a source; its zero value is none.
type sourceDigest struct {
	hash   hash.Hash
	source transfer.DigestedSource // has it, and hash is nil
}

func newSourceDigest(src io.Reader, wanted bool) sourceDigest {
	if d, ok := src.(transfer.DigestedSource); ok {
		if wanted {
			d.Digest()
		}
		if d.SHA256() != nil {
			return sourceDigest{source: d}
		}
	}
	if !wanted {
		return sourceDigest{}
	}
	return sourceDigest{hash: sha256.New()}
}

func (d *sourceDigest) write(p []byte) {
	if d.hash != nil {
		d.hash.Write(p)
	}
}

// hex is "" for none.
func (d *sourceDigest) hex() string {
	switch {
	case d.hash != nil:
		return hex.EncodeToString(d.hash.Sum(nil))
	case d.source != nil:
		return hex.EncodeToString(d.source.SHA256())
	}
	return ""
}

// trailingDigest computes the SHA-256 of a file while it is being copied, and after, on
// a goroutine of its own: it is the slower of the two. A nil one computes nothing.
type trailingDigest struct {
	ready chan int64    // how far the file is there; the latest value counts
	begun chan struct{} // closed when the beginning of the file has been read
	done  chan struct{} // closed when sha and err are set
	quit  chan struct{} // closed by stop
	sha   []byte
	err   error
}

func digestBehind(f *os.File, wanted bool) *trailingDigest {
	if !wanted {
		return nil
	}
	d := &trailingDigest{ready: make(chan int64, 1), begun: make(chan struct{}), done: make(chan struct{}), quit: make(chan struct{})}
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
				if at == 0 {
					close(d.begun)
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

// pastHeader waits until the file's header may be changed, of a file that has begun.
func (d *trailingDigest) pastHeader() {
	if d != nil {
		select {
		case <-d.begun:
		case <-d.done: // it failed
		}
	}
}

// hex waits for the digest of all that upTo announced. It is called once.
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
