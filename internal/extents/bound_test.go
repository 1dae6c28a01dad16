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

func zeros(_ *rand.Rand, n int) []byte { return make([]byte, n) }

func rows(_ *rand.Rand, n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%08d customer of the shop, who has ordered nothing, lives in the town and pays in time\n", i)
	}
	return b.Bytes()[:n]
}

// inTurn has the same text in many places, which a large window finds.
func inTurn(rng *rand.Rand, n int) []byte {
	const group = GroupExtents * SmallestExtent
	return bytes.Repeat(digits(rng, group), n/group)
}

// TestAComparisonIsNeverMuchWorseThanTheWhole: what the hashes leave out is worth more than
// they are, whatever the content is.
func TestAComparisonIsNeverMuchWorseThanTheWhole(t *testing.T) {
	z, err := zstd.NewWriter(nil, zstd.WithWindowSize(window), zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		file   func(rng *rand.Rand, n int) []byte
		groups int // more than are asked about without a sample
		part   float64
		pull   bool
	}{
		{"digits", digits, 66, .8, true},
		{"the same digits in each group", inTurn, 66, .02, false},
		{"rows", rows, 200, .8, false},
		{"zeros", zeros, 200, .02, false},
		{"zeros", zeros, 200, .8, true},
	} {
		rng := rand.New(rand.NewPCG(5, 6))
		size := test.groups * GroupExtents * SmallestExtent
		older := test.file(rng, size)
		newer := edit(rng, older, SmallestExtent, test.part, size)
		got, w := transfer(t, NewLayout(SmallestExtent), older, newer, test.pull)
		if !bytes.Equal(got, newer) {
			t.Fatalf("%s: the result is not the newer file", test.name)
		}
		whole := len(z.EncodeAll(newer, nil))
		all, most := w.hashes+w.sets+w.patch, whole*102/100+size*80/1_000_000+40_000
		t.Logf("%s, %v of it changed: %d bytes, and the whole %d: %+v", test.name, test.part, all, whole, w)
		if all > most {
			t.Errorf("%s, %v of it changed: %d bytes, and at most %d: %+v", test.name, test.part, all, most, w)
		}
	}
}
