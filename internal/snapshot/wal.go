package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"hotswap/internal/transfer"
)

// walBuffer is about how much of the log is read at a time.
const walBuffer = 1 << 20

// overlay hands the pages of frames 1 to mxFrame to put, some at a time and in the
// log's order: of several frames of one page, the last one counts. Their data is valid
// until put returns.
func (x walIndex) overlay(ctx context.Context, wal io.ReaderAt, put func(context.Context, []transfer.Piece) error) error {
	return x.eachChunk(ctx, wal, func(b []byte, _ int64) error {
		var pieces []transfer.Piece
		for frame := range slices.Chunk(b, int(frameHeaderSize+x.pageSize)) {
			// A page behind the end was cut off later on.
			if page := binary.BigEndian.Uint32(frame); page <= x.pages {
				pieces = append(pieces, transfer.Piece{Off: int64(page-1) * x.pageSize, Data: frame[frameHeaderSize:]})
			}
		}
		return put(ctx, pieces)
	})
}

// locate returns where in the log the pages are that it has, by their offsets in the
// database.
func (x walIndex) locate(ctx context.Context, wal io.ReaderAt) (map[int64]int64, error) {
	at := map[int64]int64{}
	err := x.eachChunk(ctx, wal, func(b []byte, off int64) error {
		for frame := range slices.Chunk(b, int(frameHeaderSize+x.pageSize)) {
			at[int64(binary.BigEndian.Uint32(frame)-1)*x.pageSize] = off + frameHeaderSize
			off += int64(len(frame))
		}
		return nil
	})
	return at, err
}

// eachChunk hands frames 1 to mxFrame to fn, some at a time, with the offset of the first
// of them, once they have been checked. An error may come after fn has had them all.
func (x walIndex) eachChunk(ctx context.Context, wal io.ReaderAt, fn func(frames []byte, off int64) error) error {
	sum, err := x.begin(wal)
	if err != nil {
		return err
	}
	frame := frameHeaderSize + x.pageSize
	at, end := int64(walHeaderSize), walHeaderSize+int64(x.mxFrame)*frame
	buf := make([]byte, min(max(1, walBuffer/frame)*frame, end-at))
	commit := uint32(0)
	for at < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(int64(len(buf)), end-at)]
		if err := readWAL(wal, b, at); err != nil {
			return err
		}
		for f := range slices.Chunk(b, int(frame)) {
			if !x.valid(f, &sum) {
				return unable("a frame of the log is not what it must be")
			}
			commit = binary.BigEndian.Uint32(f[4:])
		}
		if err := fn(b, at); err != nil {
			return err
		}
		at += int64(len(b))
	}
	if !x.unchecked && (sum != x.checksum || commit != x.pages) {
		return unable("the log does not end as the wal-index says")
	}
	return nil
}

// begin reads the log's header, whose checksum those of the frames go on from.
func (x walIndex) begin(wal io.ReaderAt) (sum [2]uint32, err error) {
	var h [walHeaderSize]byte
	if err := readWAL(wal, h[:], 0); err != nil {
		return sum, err
	}
	word := func(off int) uint32 { return binary.BigEndian.Uint32(h[off:]) }
	magic := uint32(walMagicLittle)
	if x.bigEndian {
		magic = walMagicBig
	}
	x.add(&sum, h[:24])
	if word(0) != magic || word(offsetWALVersion) != indexVersion || int64(word(8)) != x.pageSize ||
		[8]byte(h[16:]) != x.salt || sum != [2]uint32{word(24), word(28)} {
		if !x.unchecked {
			return sum, unable("the log's header is not of the wal-index")
		}
	}
	return sum, nil
}

// valid checks a frame, and takes it into the checksum.
func (x walIndex) valid(frame []byte, sum *[2]uint32) bool {
	x.add(sum, frame[:8])
	x.add(sum, frame[frameHeaderSize:])
	if x.unchecked {
		return true
	}
	return binary.BigEndian.Uint32(frame) > 0 && [8]byte(frame[8:]) == x.salt &&
		*sum == [2]uint32{binary.BigEndian.Uint32(frame[16:]), binary.BigEndian.Uint32(frame[20:])}
}

// add goes on with a checksum, by a multiple of 8 bytes.
func (x walIndex) add(sum *[2]uint32, b []byte) {
	s1, s2 := sum[0], sum[1]
	if x.bigEndian {
		for ; len(b) >= 8; b = b[8:] {
			s1 += binary.BigEndian.Uint32(b) + s2
			s2 += binary.BigEndian.Uint32(b[4:]) + s1
		}
	} else {
		for ; len(b) >= 8; b = b[8:] {
			s1 += binary.LittleEndian.Uint32(b) + s2
			s2 += binary.LittleEndian.Uint32(b[4:]) + s1
		}
	}
	sum[0], sum[1] = s1, s2
}

func readWAL(wal io.ReaderAt, b []byte, at int64) error {
	n, err := wal.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return unable("the log is shorter than the wal-index says")
	}
	return err
}
