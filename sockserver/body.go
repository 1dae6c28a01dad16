package sockserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"time"

	"hotswap/internal/transfer"
)

var _ transfer.DigestedSource = (*requestBody)(nil)

// How the body of a push can fail before it is complete. A truncated body must
// never look like a short one, so each is an error to the swapper, not io.EOF.
var (
	errBodyTruncated  = errors.New("the connection ended before the body did")
	errDigestMismatch = errors.New("the body's SHA-256 differs from its digest")
	errBodyStalled    = errors.New("no data came for too long")
)

// drainTimeout is for net/http to read on after a refusal, so that a client
// which is still sending sees the answer, while a stalled one can't stay.
const drainTimeout = 2 * time.Second

// requestBody is the new database as the client sends it. Its io.EOF means
// that all of it came: as many bytes as were announced or the last chunk, and
// with the digest that a header or trailer names.
type requestBody struct {
	ctx   context.Context
	req   *http.Request
	rc    *http.ResponseController
	guard *stallGuard
	hash  hash.Hash // nil: no digest is announced, and none asked for
	err   error     // what every further Read returns
}

func newRequestBody(ctx context.Context, r *http.Request, rc *http.ResponseController, stall time.Duration) *requestBody {
	b := &requestBody{ctx: ctx, req: r, rc: rc}
	b.guard = newStallGuard(ctx, stall, rc.SetReadDeadline)
	_, announced := r.Trailer[headerDigest]
	if announced || len(r.Header.Values(headerDigest)) > 0 {
		b.Digest()
	}
	return b
}

// Digest has the digest computed; see [transfer.DigestedSource].
func (b *requestBody) Digest() {
	if b.hash == nil {
		b.hash = sha256.New()
	}
}

// SHA256 is the digest that complete compares; see [transfer.DigestedSource].
func (b *requestBody) SHA256() []byte {
	if b.hash == nil {
		return nil
	}
	return b.hash.Sum(nil)
}

func (b *requestBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	b.guard.alive()
	n, err := b.req.Body.Read(p)
	if b.hash != nil {
		b.hash.Write(p[:n])
	}
	switch {
	case err == nil:
		return n, nil
	case err == io.EOF:
		b.guard.release()
		b.err = b.complete()
	case b.stopped() != nil:
		b.err = b.stopped()
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.err = errBodyStalled
	default:
		b.err = fmt.Errorf("%w: %w", errBodyTruncated, err)
	}
	return n, b.err
}

// stopped says why the context ended, if anything but the connection ended it:
// net/http cancels it after any error of a read, too.
func (b *requestBody) stopped() error {
	if cause := context.Cause(b.ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// failure is what ended the body before it was complete. The swapper may
// rather report that its context ended, which says less.
func (b *requestBody) failure() error {
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

// complete compares the digest of a body that came to its end.
func (b *requestBody) complete() error {
	if b.hash == nil {
		if len(b.req.Trailer.Values(headerDigest)) > 0 {
			return fmt.Errorf("%w: it came unannounced, so the SHA-256 was not computed; send \"Trailer: %s\" with the header",
				errDigestMismatch, headerDigest)
		}
		return io.EOF
	}
	sum := b.hash.Sum(nil)
	for _, fields := range []http.Header{b.req.Header, b.req.Trailer} {
		want, err := parseDigest(fields)
		if err != nil {
			return fmt.Errorf("%w: %w", errDigestMismatch, err)
		}
		if want != nil && !bytes.Equal(want, sum) {
			return fmt.Errorf("%w: it says %s, but the bytes have %s", errDigestMismatch,
				formatDigest(want), formatDigest(sum))
		}
	}
	return io.EOF
}

// close ends the guard. What the client still has to send is left to net/http.
func (b *requestBody) close() {
	b.guard.release()
	if b.err != io.EOF {
		b.rc.SetReadDeadline(time.Now().Add(drainTimeout))
	}
}
