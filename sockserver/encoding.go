package sockserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/klauspost/compress/zstd"
)

const (
	headerEncoding = "Content-Encoding"
	encodingZstd   = "zstd"
	// encodingWindow is how far back a compressed body may refer, in bytes.
	encodingWindow = 8 << 20
)

// errEncoding: a body is not compressed as its header says.
var errEncoding = errors.New("the body is not Zstandard")

// decoded returns what a body has in it, and frees what that takes. A Content-Digest is of
// the body as it is sent.
func decoded(r *http.Request, body *requestBody) (source io.Reader, free func(), err error) {
	switch encoding := r.Header.Get(headerEncoding); encoding {
	case "", "identity":
		return body, func() {}, nil
	case encodingZstd:
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(encodingWindow))
		if err != nil {
			return nil, nil, err
		}
		return decodedBody{body, z}, z.Close, nil
	default:
		p := badRequest("header %s: %q is not %s", headerEncoding, encoding, encodingZstd)
		p.Status = http.StatusUnsupportedMediaType
		return nil, nil, p
	}
}

type decodedBody struct {
	body *requestBody
	z    *zstd.Decoder
}

func (d decodedBody) Read(p []byte) (int, error) {
	n, err := d.z.Read(p)
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case d.body.failure() != nil:
		return n, d.body.failure()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return n, fmt.Errorf("%w: it ends within a frame", errBodyTruncated)
	}
	return n, fmt.Errorf("%w: %w", errEncoding, err)
}
