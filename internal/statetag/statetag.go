// Package statetag names the content of a database, so that it can be told later whether
// the database still has that content.
package statetag

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
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

// Hash computes the tag of the database file that is written to it.
type Hash struct {
	hash hash.Hash
	head []byte // of the file, until there is all of its header
}

// New returns the Hash of a file of which nothing was written yet.
func New() *Hash { return &Hash{hash: sha256.New()} }

// Write takes the next bytes of the file. It never fails.
func (h *Hash) Write(p []byte) (int, error) {
	n := len(p)
	if missing := headerSize - len(h.head); missing > 0 {
		taken := min(missing, n)
		h.head, p = append(h.head, p[:taken]...), p[taken:]
		if len(h.head) < headerSize {
			return n, nil
		}
		head := [headerSize]byte(h.head)
		for _, field := range ignored {
			clear(head[field[0]:field[1]])
		}
		h.hash.Write(head[:])
	}
	h.hash.Write(p)
	return n, nil
}

// Tag returns the tag of what was written: "" of a file that is no database, since it is
// too short.
func (h *Hash) Tag() string {
	if len(h.head) < headerSize {
		return ""
	}
	return hex.EncodeToString(h.hash.Sum(nil))[:Length]
}

// chunk is how much is read between two looks at the context.
const chunk = 1 << 20

// Of returns the tag of a database file of size bytes.
func Of(ctx context.Context, file io.ReaderAt, size int64) (string, error) {
	h, buf := New(), make([]byte, min(chunk, size))
	for at := int64(0); at < size; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := file.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		h.Write(buf[:n])
		if at += int64(n); err != nil && at < size {
			return "", err
		}
	}
	return h.Tag(), nil
}
