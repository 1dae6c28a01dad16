package extents

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func noise(_ *rand.Rand, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// digits take half of their length.
func digits(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	hex.Encode(b, noise(rng, n/2))
	return b
}

// contents are files that compress badly, well, and to next to nothing.
var contents = []struct {
	name   string
	groups int // more than are asked about without a sample
	file   func(rng *rand.Rand, n int) []byte
}{
	{"noise", 70, noise},
	{"digits", 70, digits},
	{"zeros", 256, func(_ *rand.Rand, n int) []byte { return make([]byte, n) }},
	{"rows", 256, func(_ *rand.Rand, n int) []byte {
		var b bytes.Buffer
		for i := 0; b.Len() < n; i++ {
			fmt.Fprintf(&b, "%08d customer of the shop, who has ordered nothing, lives in the town and pays in time\n", i)
		}
		return b.Bytes()[:n]
	}},
	{"digits and zeros in turn", 70, func(rng *rand.Rand, n int) []byte {
		b := digits(rng, n)
		for at := 0; at < n; at += 2 * SmallestExtent {
			clear(b[at:min(n, at+SmallestExtent)])
		}
		return b
	}},
	{"digits at the end", 70, func(rng *rand.Rand, n int) []byte { return append(make([]byte, n/2), digits(rng, n-n/2)...) }},
	{"a group again and again", 70, func(rng *rand.Rand, n int) []byte {
		return bytes.Repeat(digits(rng, GroupExtents*SmallestExtent), n/GroupExtents/SmallestExtent)
	}},
}

// TestAComparisonIsNeverMuchWorseThanTheWhole: what the hashes leave out is worth more than
// they are, whatever the content is.
func TestAComparisonIsNeverMuchWorseThanTheWhole(t *testing.T) {
	z, err := zstd.NewWriter(nil, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for i, content := range contents {
		rng := rand.New(rand.NewPCG(uint64(i), 5))
		size := content.groups * GroupExtents * SmallestExtent
		older := content.file(rng, size)
		for round, part := range []float64{.02, .8, 1} {
			newer := edit(rng, older, SmallestExtent, part, size)
			whole := len(z.EncodeAll(newer, nil))
			pull := (i+round)%2 > 0
			got, w := transfer(t, NewLayout(SmallestExtent), older, newer, pull)
			if !bytes.Equal(got, newer) {
				t.Fatal("the result is not the newer file")
			}
			all, most := w.hashes+w.sets+w.patch, whole*102/100+size*80/1_000_000+40_000
			t.Logf("%s, %v of it changed, pull %v: %d bytes, and the whole %d: %+v", content.name, part, pull, all, whole, w)
			if all > most {
				t.Errorf("%s, %v of it changed, pull %v: %d bytes, and at most %d: %+v", content.name, part, pull, all, most, w)
			}
		}
	}
}
