package sockserver

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"hotswap/swapper"
)

const (
	// encodingProtocol is the first that knows compressed bodies.
	encodingProtocol = 4
	// flushInterval is how long bytes of a slow source may wait for more to be compressed
	// with: a server that gets none for a minute gives up.
	flushInterval = 5 * time.Second
)

// pushCompressed is push of all that src yields, to a server elsewhere.
func (c *Client) pushCompressed(ctx context.Context, path string, src io.Reader, params PushParams) (swapper.Report, error) {
	version, err := c.Version(ctx)
	if err != nil || version.Protocol < encodingProtocol {
		return c.push(ctx, path, src, nil, params)
	}
	z := newCompressor(src)
	defer z.read.Close()
	params.encoding = encodingZstd
	return c.push(ctx, path, z, nil, params)
}

// compressor compresses a source, from the first Read on.
type compressor struct {
	read  *io.PipeReader
	start func()
}

func newCompressor(src io.Reader) *compressor {
	read, write := io.Pipe()
	return &compressor{read, sync.OnceFunc(func() {
		go func() { write.CloseWithError(compress(write, src, flushInterval)) }()
	})}
}

func (c *compressor) Read(p []byte) (int, error) {
	c.start()
	return c.read.Read(p)
}

// compress writes what src yields, compressed, and flushes when so much time has passed.
func compress(w io.Writer, src io.Reader, every time.Duration) error {
	z, err := zstd.NewWriter(w, zstd.WithWindowSize(encodingWindow), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	buffer := make([]byte, transferBuffer)
	flushed := time.Now()
	for {
		n, err := src.Read(buffer)
		if _, err := z.Write(buffer[:n]); err != nil {
			return err
		}
		switch {
		case err == io.EOF:
			return z.Close()
		case err != nil:
			return err
		case time.Since(flushed) < every:
			continue
		}
		if err := z.Flush(); err != nil {
			return err
		}
		flushed = time.Now()
	}
}
