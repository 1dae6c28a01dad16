package fleet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"hotswap/internal/transfer"
)

// overlaid is a file written over a copy that is held: what differs is written, which is
// little or nothing, and the room is there.
type overlaid struct {
	base    transfer.Held
	file    io.ReaderAt
	size    int64
	differs []int64 // the pieces that do, by their offsets
	sum     [sha256.Size]byte
	buf     []byte
}

var _ transfer.PatchSource = (*overlaid)(nil)

// overPiece is how much is compared, and written, at once.
const overPiece = 1 << 20

// over compares a file of size bytes with the copy.
func over(ctx context.Context, base transfer.Held, file io.ReaderAt, size int64) (*overlaid, error) {
	o := &overlaid{base: base, file: file, size: size, buf: make([]byte, overPiece)}
	hash, other := sha256.New(), make([]byte, overPiece)
	for off := int64(0); off < size; off += overPiece {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		piece, err := o.piece(off)
		if err != nil {
			return nil, err
		}
		hash.Write(piece)
		n, err := base.ReadAt(other[:len(piece)], off)
		if err != nil && err != io.EOF {
			return nil, err
		}
		if !bytes.Equal(piece, other[:n]) {
			o.differs = append(o.differs, off)
		}
	}
	hash.Sum(o.sum[:0])
	return o, nil
}

// piece reads what the file has at an offset.
func (o *overlaid) piece(off int64) ([]byte, error) {
	p := o.buf[:min(overPiece, o.size-off)]
	if n, err := o.file.ReadAt(p, off); n < len(p) {
		return nil, err
	}
	return p, nil
}

func (o *overlaid) Base() transfer.Held      { return o.base }
func (o *overlaid) Begin() (int64, error)    { return o.size, nil }
func (o *overlaid) SHA256() [32]byte         { return o.sum }
func (o *overlaid) Urgent() bool             { return true }
func (o *overlaid) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

func (o *overlaid) Next() (int64, []byte, error) {
	if len(o.differs) == 0 {
		return 0, nil, io.EOF
	}
	off := o.differs[0]
	o.differs = o.differs[1:]
	data, err := o.piece(off)
	return off, data, err
}
