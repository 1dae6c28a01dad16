package extents

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// dump is a file of n bytes that compress somewhat, as a database's do.
func dump(rng *rand.Rand, n int) []byte {
	b := make([]byte, n+8)
	for i := 0; i < n; i += 8 {
		binary.NativeEndian.PutUint64(b[i:], rng.Uint64()&0x0f0f0f0f0f0f0f0f)
	}
	return b[:n]
}

// edit changes a part of the extents of a file, and its length.
func edit(rng *rand.Rand, file []byte, extent int, part float64, size int) []byte {
	edited := bytes.Clone(file[:min(size, len(file))])
	edited = append(edited, dump(rng, size-len(edited))...)
	for at := 0; at < len(edited); at += extent {
		if rng.Float64() < part {
			edited[at+rng.IntN(min(extent, len(edited)-at))] ^= 0x80
		}
	}
	return edited
}

// wire is what a comparison takes.
type wire struct {
	hashes int // bytes of hashes
	rounds int // questions
	sets   int // bytes of sets
	patch  int // bytes of the patch
	extent int // extents in the patch
}

// transfer does what two ends do: of older and newer the one that asks has one.
func transfer(t *testing.T, l Layout, older, newer []byte, pull bool) (got []byte, w wire) {
	t.Helper()
	ctx := t.Context()
	mine, theirs := newer, older
	if pull {
		mine, theirs = older, newer
	}
	d := NewDiff(l, bytes.NewReader(mine), int64(len(mine)), int64(len(theirs)), pull)
	var hashes bytes.Buffer
	groups := l.Groups(int64(len(theirs)))
	if err := l.HashGroups(ctx, bytes.NewReader(theirs), int64(len(theirs)), groups, func(h Hash) error { hashes.Write(h[:]); return nil }); err != nil {
		t.Fatal(err)
	}
	w.hashes = hashes.Len()
	if err := d.Compare(ctx, &hashes); err != nil || hashes.Len() > 0 {
		t.Fatal(err, hashes.Len())
	}
	for {
		groups, more, err := d.Ask()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		asked, err := ParseSet(l.Groups(int64(len(theirs))), groups.Bitmap())
		if err != nil {
			t.Fatal(err)
		}
		if err := l.HashExtents(ctx, bytes.NewReader(theirs), int64(len(theirs)), asked, func(_ int, h []byte) error { hashes.Write(h); return nil }); err != nil {
			t.Fatal(err)
		}
		w.rounds++
		w.hashes += hashes.Len()
		w.sets += len(groups.Bitmap())
		if err := d.Answer(ctx, &hashes); err != nil || hashes.Len() > 0 {
			t.Fatal(err, hashes.Len())
		}
	}
	var patch bytes.Buffer
	differing := d.Differing()
	if pull {
		w.sets += len(differing.Bitmap())
	}
	sum := StartSum(ctx, bytes.NewReader(newer), int64(len(newer)))
	defer sum.Stop()
	if err := Write(ctx, &patch, Header{l.Extent, int64(len(newer))}, bytes.NewReader(newer), differing, sum.Wait, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	w.patch, w.extent = patch.Len(), differing.Len()
	got, err := apply(older, &patch)
	if err != nil {
		t.Fatal(err)
	}
	return got, w
}

// apply makes the result of a patch in memory.
func apply(base []byte, patch io.Reader) ([]byte, error) {
	p, err := NewReader(patch)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	var result bytes.Buffer
	err = p.Apply(context.Background(), &result, bytes.NewReader(base), int64(len(base)))
	return result.Bytes(), err
}

func TestAPatchMakesTheNewerFileOutOfTheOlder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		l := NewLayout(int64(512) << rng.IntN(8))
		size := rng.IntN(min(2<<20, 3*GroupExtents*int(l.Extent)))
		older := dump(rng, size)
		changed := max(0, size+[]int{0, 1, -1, int(l.Extent), -int(l.Extent), rng.IntN(size + 1), -rng.IntN(size + 1)}[rng.IntN(7)])
		newer := edit(rng, older, int(l.Extent), []float64{0, .001, .1, 1}[rng.IntN(4)], changed)
		for _, pull := range []bool{false, true} {
			if got, _ := transfer(t, l, older, newer, pull); !bytes.Equal(got, newer) {
				t.Fatalf("extents of %d, %d bytes to %d, pull %v: the result is not the newer file", l.Extent, len(older), len(newer), pull)
			}
		}
	}
}

func TestOnlyWhatDiffersTravels(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	l := NewLayout(1024)
	const size, groups = 17 << 20, 68
	older := dump(rng, size)
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name                   string
		part                   float64
		hashes, rounds, extent int // at most
	}{
		{"nothing", 0, groups * HashSize, 0, 0},
		{"one in a thousand", .001, groups*HashSize + 20*GroupExtents*HashSize, 1, 20},
		{"one in a hundred", .01, groups*HashSize + groups*GroupExtents*HashSize, 2, 120},
		{"all", 1, groups*HashSize + 2*sample*GroupExtents*HashSize, 1, groups * GroupExtents},
	} {
		newer := edit(rng, older, int(l.Extent), test.part, size)
		got, w := transfer(t, l, older, newer, false)
		t.Logf("%s: %+v", test.name, w)
		if !bytes.Equal(got, newer) || w.hashes > test.hashes || w.rounds > test.rounds || w.extent > test.extent {
			t.Errorf("%s: %+v, at most %+v", test.name, w, test)
		}
		if test.part < 1 {
			continue
		}
		if whole := len(z.EncodeAll(newer, nil)); float64(w.hashes+w.patch) > 1.02*float64(whole) {
			t.Errorf("%s: %d bytes, and the whole would be %d", test.name, w.hashes+w.patch, whole)
		}
	}
}

func TestHashesThatEndEarlyAreAnError(t *testing.T) {
	l := NewLayout(4096)
	file := bytes.NewReader(make([]byte, 200*4096))
	d := NewDiff(l, file, file.Size(), file.Size(), false)
	if err := d.Compare(t.Context(), strings.NewReader("too few")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	d = NewDiff(l, file, file.Size(), file.Size(), false)
	if err := d.Compare(t.Context(), bytes.NewReader(make([]byte, 4*HashSize))); err != nil {
		t.Fatal(err)
	}
	if _, more, err := d.Ask(); !more || err != nil {
		t.Fatal("nothing differs", err)
	}
	if err := d.Answer(t.Context(), strings.NewReader("too few")); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	// One that is longer elsewhere must have a hash for each of its groups.
	d = NewDiff(l, file, file.Size(), 2*file.Size(), false)
	if err := d.Compare(t.Context(), bytes.NewReader(make([]byte, 4*HashSize))); err == nil {
		t.Error("hashes are missing, and nobody minds")
	}
}

func noSum() (sum [sha256.Size]byte, err error) { return sum, nil }

func TestAFileThatBecomesShorterIsAnError(t *testing.T) {
	l, file := NewLayout(4096), bytes.NewReader(make([]byte, 5000))
	err := l.HashGroups(t.Context(), file, 9000, 1, func(Hash) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "has become shorter") {
		t.Errorf("got %v", err)
	}
	if _, err := StartSum(t.Context(), file, 9000).Wait(); err == nil || !strings.Contains(err.Error(), "has become shorter") {
		t.Errorf("got %v", err)
	}
	all := NewSet(3)
	all.Add(2)
	err = Write(t.Context(), io.Discard, Header{Extent: 4096, Size: 9000}, file, all, noSum, func(int64) {})
	if err == nil || !strings.Contains(err.Error(), "has become shorter") {
		t.Errorf("got %v", err)
	}
}

func TestTheEndOfAContextEndsTheReading(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("ctrl-c")
	cancel(stop)
	l, file := NewLayout(4096), bytes.NewReader(make([]byte, 5000))
	if err := l.HashGroups(ctx, file, 5000, 1, func(Hash) error { return nil }); err != stop {
		t.Errorf("got %v", err)
	}
	if _, err := StartSum(ctx, file, 5000).Wait(); err != stop {
		t.Errorf("got %v", err)
	}
	all := NewSet(2)
	all.Add(0)
	if err := Write(ctx, io.Discard, Header{Extent: 4096, Size: 5000}, file, all, noSum, func(int64) {}); err != stop {
		t.Errorf("got %v", err)
	}
}

func TestAKeyChangesAllHashes(t *testing.T) {
	file := bytes.NewReader(make([]byte, 4096))
	hash := func(l Layout) (got Hash) {
		if err := l.HashGroups(t.Context(), file, 4096, 1, func(h Hash) error { got = h; return nil }); err != nil {
			t.Fatal(err)
		}
		return got
	}
	one, other := hash(NewLayout(4096)), hash(NewLayout(4096))
	if one == other {
		t.Error("two transfers have the same hashes")
	}
}
