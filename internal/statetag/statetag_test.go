package statetag

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand"
	"testing"
)

// random returns a file of so many bytes.
func random(size int) []byte {
	b := make([]byte, size)
	rand.New(rand.NewSource(int64(size))).Read(b)
	return b
}

// TestATagIsThatOfItsDefinition, computed in the plainest way: tags are kept, and compared
// with those that another version has computed.
func TestATagIsThatOfItsDefinition(t *testing.T) {
	for _, size := range []int{100, 4096, piece, piece + 1, extent - 1, extent, extent + 1, 9*extent + 4096} {
		file := random(size)
		tag, err := Of(t.Context(), bytes.NewReader(file), int64(size))
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []int{18, 19, 24, 25, 26, 27, 40, 41, 42, 43, 92, 93, 94, 95, 96, 97, 98, 99} {
			file[at] = 0
		}
		var sums []byte
		for rest := file; len(rest) > 0; rest = rest[min(len(rest), 1<<20):] {
			sum := sha256.Sum256(rest[:min(len(rest), 1<<20)])
			sums = append(sums, sum[:]...)
		}
		sum := sha256.Sum256(sums)
		if want := hex.EncodeToString(sum[:16]); tag != want || !Valid(tag) {
			t.Errorf("%d bytes: %q, not %q", size, tag, want)
		}
	}
}

func TestEveryByteCountsBesideTheJournalModeAndCounters(t *testing.T) {
	file := random(2*extent + 200)
	tag := func() string {
		tag, err := Of(t.Context(), bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		return tag
	}
	before := tag()
	for at, same := range map[int]bool{0: false, 17: false, 18: true, 20: false, 24: true, 28: false, 40: true, 44: false, 91: false, 92: true, 99: true,
		100: false, extent - 1: false, extent: false, extent + 18: false, 2*extent + 199: false} {
		file[at] ^= 1
		if got := tag(); got == before != same {
			t.Errorf("byte %d: the tag is the same: %v", at, !same)
		}
		file[at] ^= 1
	}
	file[0], file[extent] = file[extent], file[0]
	if tag() == before {
		t.Error("the tag does not tell which extent is which")
	}
}

func TestWhatIsNoDatabaseHasNoTag(t *testing.T) {
	if tag, err := Of(t.Context(), bytes.NewReader(random(99)), 99); tag != "" || err != nil {
		t.Errorf("99 bytes: %q, %v", tag, err)
	}
	if _, err := Of(t.Context(), bytes.NewReader(random(extent)), extent+1); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("cut:", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Of(ended, bytes.NewReader(random(extent)), extent); !errors.Is(err, context.Canceled) {
		t.Error("given up:", err)
	}
}
