package scan

import (
	"encoding/binary"
	"math"
)

// field is one of a record's (https://www.sqlite.org/fileformat2.html#record_format).
type field struct {
	kind uint64
	body []byte
}

const (
	kindNull = 0
	kindReal = 7
	kindZero = 8
	kindOne  = 9
	kindBlob = 12 // and every other one from there on
	kindText = 13
)

// size is that of a value of the kind; of the reserved ones, which SQLite does not write,
// ok is false.
func size(kind uint64) (n uint64, ok bool) {
	if kind >= kindBlob {
		return (kind - kindBlob) / 2, true
	}
	return uint64([...]byte{0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0}[kind]), kind <= kindOne
}

// varint reads a number of 32 bits, and how many bytes it takes; 0 if it has more, or is
// not written in the shortest way.
func varint(b []byte) (value uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	for n < len(b) && n < 5 {
		value = value<<7 | uint64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			if b[0] == 0x80 || value > math.MaxUint32 {
				return 0, 0
			}
			return value, n
		}
	}
	return 0, 0
}

// varint64 reads a rowid.
func varint64(b []byte) (value int64, n int) {
	var v uint64
	for n < len(b) && n < 8 {
		v = v<<7 | uint64(b[n]&0x7f)
		n++
		if b[n-1] < 0x80 {
			return int64(v), n
		}
	}
	if n == 8 && len(b) > 8 {
		return int64(v<<8 | uint64(b[8])), 9
	}
	return 0, 0
}

// integer is the field's value; ok is false if it is none.
func (f field) integer() (value int64, ok bool) {
	if f.kind == kindZero || f.kind == kindOne {
		return int64(f.kind - kindZero), true
	}
	if f.kind == kindNull || f.kind >= kindReal {
		return 0, false
	}
	value = int64(int8(f.body[0]))
	for _, b := range f.body[1:] {
		value = value<<8 | int64(b)
	}
	return value, true
}

func (f field) real() float64 { return math.Float64frombits(binary.BigEndian.Uint64(f.body)) }

// integerField is the number as SQLite writes it, in buf.
func integerField(value int64, format uint32, buf *[8]byte) field {
	if format >= 4 && (value == 0 || value == 1) {
		return field{kind: kindZero + uint64(value)}
	}
	binary.BigEndian.PutUint64(buf[:], uint64(value))
	for kind, n := range []int{1, 2, 3, 4, 6} {
		if shift := 64 - 8*n; value<<shift>>shift == value {
			return field{kind: uint64(kind + 1), body: buf[8-n:]}
		}
	}
	return field{kind: 6, body: buf[:]}
}

// appendRecord appends the record of these fields, as SQLite writes it. It returns nil
// for what has a header of more than 127 bytes, which is left to SQLite.
func appendRecord(to []byte, fields []field) []byte {
	from := len(to)
	to = append(to, 0)
	for i := range fields {
		to = appendVarint(to, fields[i].kind)
	}
	header := len(to) - from
	if header > 127 {
		return nil
	}
	to[from] = byte(header)
	for i := range fields {
		to = append(to, fields[i].body...)
	}
	return to
}

// appendVarint is for numbers of 32 bits.
func appendVarint(to []byte, n uint64) []byte {
	if n < 0x80 {
		return append(to, byte(n))
	}
	for shift := 28; shift > 0; shift -= 7 {
		if n>>shift > 0 {
			to = append(to, byte(n>>shift)|0x80)
		}
	}
	return append(to, byte(n)&0x7f)
}
