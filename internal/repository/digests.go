package repository

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"

	"hotswap/internal/extents"
	"hotswap/internal/statetag"
)

// digest names the content of an extent. It has no key, unlike a hash of package extents,
// since it is kept; so it has 128 bits: what collides is found by the SHA-256 of the whole.
type digest [16]byte

func digestOf(extent []byte) digest {
	sum := sha256.Sum256(extent)
	return digest(sum[:])
}

// name is the SHA-256 of a chunk.
type name [sha256.Size]byte

func nameOf(chunk []byte) name { return sha256.Sum256(chunk) }
func (n name) String() string  { return hex.EncodeToString(n[:]) }
func parseName(text string) (n name, err error) {
	if !isDigest(text) {
		return n, fmt.Errorf("%q is not the name of a chunk", text)
	}
	hex.Decode(n[:], []byte(text))
	return n, nil
}

// blockExtents is how many digests a block has, which is a chunk of 64 KiB.
const blockExtents = 4096

// blocksOf returns how many blocks n digests have.
func blocksOf(n int) int { return (n + blockExtents - 1) / blockExtents }

// block returns the bytes of block b of digests.
func block(digests []digest, b int) []byte {
	part := digests[b*blockExtents : min(len(digests), (b+1)*blockExtents)]
	out := make([]byte, 0, len(part)*len(digest{}))
	for _, d := range part {
		out = append(out, d[:]...)
	}
	return out
}

// contents is what is computed of a whole file.
type contents struct {
	digests []digest
	sha256  string
	tag     string
}

// readContents reads a file of that size.
func readContents(ctx context.Context, l extents.Layout, file io.ReaderAt, size int64) (c contents, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	whole := sha256.New()
	var tagErr error
	var tagging sync.WaitGroup
	tagging.Go(func() { c.tag, tagErr = statetag.Of(ctx, file, size) })
	c.digests, err = digestsOf(ctx, l, file, size, func(piece []byte) { whole.Write(piece) })
	if err != nil {
		cancel()
	}
	tagging.Wait()
	if err != nil {
		return c, err
	}
	c.sha256 = hex.EncodeToString(whole.Sum(nil))
	return c, tagErr
}

// digestsOf returns the digests of a file's extents, and gives each piece that it has read
// to each, if that is set.
func digestsOf(ctx context.Context, l extents.Layout, file io.ReaderAt, size int64, each func([]byte)) ([]digest, error) {
	digests := make([]digest, 0, l.Extents(size))
	buf := make([]byte, min(size, 16*extents.LargestExtent))
	for at := int64(0); at < size; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		piece := buf[:min(int64(len(buf)), size-at)]
		if _, err := file.ReadAt(piece, at); err != nil && (err != io.EOF || at+int64(len(piece)) < size) {
			return nil, readFailed(err, at)
		}
		done := make(chan struct{})
		go func() {
			if each != nil {
				each(piece)
			}
			close(done)
		}()
		for rest := piece; len(rest) > 0; {
			n := min(int64(len(rest)), l.Extent)
			digests = append(digests, digestOf(rest[:n]))
			rest = rest[n:]
		}
		<-done
		at += int64(len(piece))
	}
	return digests, nil
}

func readFailed(err error, at int64) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the file has become shorter")
	}
	return fmt.Errorf("read what is at %d: %w", at, err)
}
