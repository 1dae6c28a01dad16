package repository

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// encoder compresses packs and indexes, several at a time.
var encoder = func() *zstd.Encoder {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(packBytes),
		zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // only of options that no machine has
	}
	return z
}()

// decoders decompress packs, one at a time each.
var decoders = sync.Pool{New: func() any {
	z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(packBytes), zstd.WithDecoderMaxWindow(mostWindow))
	if err != nil {
		panic(err) // only of options that no machine has
	}
	return z
}}

// ErrPack: a pack is not what its name or the index says.
var ErrPack = errors.New("not a valid pack")

// unpack decompresses a pack of size bytes into buf, which has room for one. It takes no
// more memory, whatever the frame says of itself.
func unpack(compressed, buf []byte, size int) ([]byte, error) {
	z := decoders.Get().(*zstd.Decoder)
	defer decoders.Put(z)
	data, err := z.DecodeAll(compressed, buf[:0])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPack, err)
	}
	if len(data) != size {
		return nil, fmt.Errorf("%w: it has %d bytes and not %d", ErrPack, len(data), size)
	}
	return data, nil
}
