package extents

import (
	"fmt"
	"iter"
	"math/bits"
)

// Set is a set of the extents of a file, or of its groups.
type Set struct {
	n    int
	bits []byte
}

// NewSet returns an empty set of numbers below n.
func NewSet(n int) Set { return Set{n, make([]byte, BitmapSize(n))} }

// BitmapSize returns the length in bytes of a set of numbers below n.
func BitmapSize(n int) int { return (n + 7) / 8 }

// ParseSet returns the set that a bitmap is, of numbers below n. It keeps the bitmap.
func ParseSet(n int, bitmap []byte) (Set, error) {
	if len(bitmap) != BitmapSize(n) {
		return Set{}, fmt.Errorf("the bitmap has %d bytes, but for %d numbers it must have %d", len(bitmap), n, BitmapSize(n))
	}
	if n%8 != 0 && bitmap[n/8]>>(n%8) != 0 {
		return Set{}, fmt.Errorf("the bitmap has a number beyond the last, %d", n-1)
	}
	return Set{n, bitmap}, nil
}

// Bitmap returns the set as bytes: number 0 is the lowest bit of the first. They are
// the set's own.
func (s Set) Bitmap() []byte { return s.bits }

// Add adds a number.
func (s Set) Add(i int) { s.bits[i/8] |= 1 << (i % 8) }

// Has reports whether a number is in the set.
func (s Set) Has(i int) bool { return s.bits[i/8]>>(i%8)&1 != 0 }

// Len returns how many numbers are in the set.
func (s Set) Len() (n int) {
	for _, b := range s.bits {
		n += bits.OnesCount8(b)
	}
	return n
}

// All yields the numbers in their order.
func (s Set) All() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, b := range s.bits {
			for ; b != 0; b &= b - 1 {
				if !yield(8*i + bits.TrailingZeros8(b)) {
					return
				}
			}
		}
	}
}
