// Package statetag names the content of a database, so that it can be told later whether
// the database still has that content.
package statetag

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// Length is that of a tag: 128 bits in lower-case hexadecimal.
const Length = 32

// Valid reports whether text has the form of a tag.
func Valid(text string) bool {
	sum, err := hex.DecodeString(text)
	return err == nil && len(text) == Length && hex.EncodeToString(sum) == text
}

// headerSize is the size of a database file's header, in bytes.
const headerSize = 100

// ignored are the fields of the header that say nothing of the content, and move, or stand
// still, for reasons of their own (https://www.sqlite.org/fileformat2.html): the two file
// format versions, which are the journal mode; the change counter, which stands still in WAL
// mode; the schema cookie; the version-valid-for number and SQLite's own version.
var ignored = [][2]int{{18, 20}, {24, 28}, {40, 44}, {92, 100}}

const (
	// extent is what is hashed by itself, so that several processors can hash a file.
	extent = 1 << 20
	// piece is how much is hashed before others get their turn on the processor: a call of
	// the program does not wait longer for one than that takes, some 100 µs.
	piece = 256 << 10
	// maxHashers is how many goroutines hash a file. Together they are about as quick as
	// the file is read.
	maxHashers = 4
)

// Of returns the tag of a database file of size bytes: the SHA-256 of the extents' SHA-256,
// shortened. It is "" of a file that is no database, since it is too short. Several
// goroutines read from file.
func Of(ctx context.Context, file io.ReaderAt, size int64) (string, error) {
	if size < headerSize {
		return "", nil
	}
	count := (size + extent - 1) / extent
	sums := make([]byte, count*sha256.Size)
	var next atomic.Int64
	hashing, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var group sync.WaitGroup
	for range min(int64(runtime.GOMAXPROCS(0)), maxHashers, count) {
		group.Go(func() {
			buf := make([]byte, min(piece, size))
			for i := next.Add(1) - 1; i < count && hashing.Err() == nil; i = next.Add(1) - 1 {
				sum, err := hashExtent(hashing, file, i*extent, min((i+1)*extent, size), buf)
				if err != nil {
					fail(err)
				}
				copy(sums[i*sha256.Size:], sum)
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err := context.Cause(hashing); err != nil {
		return "", err
	}
	sum := sha256.Sum256(sums)
	return hex.EncodeToString(sum[:])[:Length], nil
}

// hashExtent returns the SHA-256 of the file from at to end.
func hashExtent(ctx context.Context, file io.ReaderAt, at, end int64, buf []byte) ([]byte, error) {
	hash := sha256.New()
	for ; at < end; at += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		buf = buf[:min(int64(len(buf)), end-at)]
		if n, err := file.ReadAt(buf, at); n < len(buf) {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if at == 0 {
			for _, field := range ignored {
				clear(buf[field[0]:field[1]])
			}
		}
		hash.Write(buf)
		runtime.Gosched()
	}
	return hash.Sum(nil), nil
}
