package extents

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// frame compresses what a patch might have in it.
func frame(tb testing.TB, content []byte, opts ...zstd.EOption) []byte {
	tb.Helper()
	opts = append([]zstd.EOption{zstd.WithWindowSize(64 << 10), zstd.WithEncoderConcurrency(1)}, opts...)
	z, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	return z.EncodeAll(content, nil)
}

func head(extent uint32, size uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32([]byte(magic), extent), size)
}

// end is the end of a patch, with the SHA-256 of so many zeros.
func end(extents uint64, zeros int) []byte {
	sum := sha256.Sum256(make([]byte, zeros))
	return append(run(extents, 0, 0), sum[:]...)
}

func run(first uint64, count uint32, bytes int) []byte {
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, first), count)
	return append(b, make([]byte, bytes)...)
}

// empty is a patch whose result is empty.
func empty() []byte { return append(head(4096, 0), end(0, 0)...) }

func TestWhatIsNoPatchIsRefused(t *testing.T) {
	const four = 4 * 4096
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, test := range map[string]struct{ content, words string }{
		"another magic":       {"hspatch1" + string(head(4096, four)[8:]), "it begins with"},
		"odd extents":         {string(head(5000, four)), "power of two"},
		"small extents":       {string(head(512, four)), "power of two"},
		"a negative size":     {string(head(4096, 1<<63)), "of which there may be"},
		"a size beyond all":   {string(head(4096, 1<<50)), "of which there may be"},
		"a cut header":        {string(head(4096, four)[:19]), "it ends early"},
		"no runs and no end":  {string(head(4096, four)), "it ends early"},
		"beyond the end":      {string(join(head(4096, four), run(3, 2, 2*4096))), "2 extents from number 3 on"},
		"far beyond the end":  {string(join(head(4096, four), run(1<<63, 2, 0))), "from number 9223372036854775808"},
		"twice":               {string(join(head(4096, four), run(1, 1, 4096), run(1, 1, 4096))), "from number 1 on, where the next may be 2"},
		"backwards":           {string(join(head(4096, four), run(2, 1, 4096), run(1, 1, 4096))), "from number 1 on"},
		"overlapping":         {string(join(head(4096, four), run(0, 2, 2*4096), run(1, 2, 2*4096))), "from number 1 on"},
		"none in a run":       {string(join(head(4096, four), run(2, 0, 0))), "a run of 0 extents"},
		"too many in a run":   {string(join(head(4096, 1<<30), run(0, 257, 0))), "a run of 257 extents"},
		"a cut run":           {string(join(head(4096, four), run(0, 2, 4096))), "it ends early"},
		"a cut SHA-256":       {string(join(head(4096, four), end(4, four)[:20])), "it ends early"},
		"more behind its end": {string(join(head(4096, four), end(4, four), []byte{0})), "more behind its end"},
		"a hole":              {string(join(head(4096, four), run(3, 1, 4096), end(4, four))), "nor has the base, of 8192 bytes"},
		"a hole at the end":   {string(join(head(4096, four), run(2, 1, 4096), end(4, four))), "nor has the base, of 8192 bytes"},
		"another result":      {string(join(head(4096, four), run(0, 4, four), run(4, 0, 32))), "should have 00000"},
		"nothing":             {"", "it ends early"},
	} {
		_, err := apply(make([]byte, 2*4096), bytes.NewReader(frame(t, []byte(test.content))))
		if !errors.Is(err, ErrPatch) || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestBytesThatAreNoFrameAreRefused(t *testing.T) {
	whole := frame(t, empty())
	if _, err := apply(nil, bytes.NewReader(whole)); err != nil {
		t.Fatal(err)
	}
	for name, noise := range map[string][]byte{
		"text":              []byte("Last login: Fri Nov 27\nPassword: "),
		"a cut frame":       whole[:len(whole)-5],
		"a broken checksum": append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
		"noise behind it":   append(bytes.Clone(whole), "noise"...),
	} {
		if _, err := apply(nil, bytes.NewReader(noise)); !errors.Is(err, ErrPatch) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestABombTakesNoMoreThanARun: what is announced is only believed as far as it is read.
func TestABombTakesNoMoreThanARun(t *testing.T) {
	far := frame(t, make([]byte, 64<<20), zstd.WithWindowSize(64<<20), zstd.WithSingleSegment(true))
	if _, err := NewReader(bytes.NewReader(far)); !errors.Is(err, ErrPatch) {
		t.Errorf("a window of 64 MiB: got %v", err)
	}
	zeros := frame(t, append(append(head(4096, 1<<30), run(0, 256, 1<<20)...), make([]byte, 64<<20)...), zstd.WithWindowSize(1<<20))
	p, err := NewReader(bytes.NewReader(zeros))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, data, err := p.Next(); err != nil || len(data) != 1<<20 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	if _, _, err := p.Next(); !errors.Is(err, ErrPatch) {
		t.Errorf("got %v", err)
	}
}

func TestAnErrorOfTheConnectionIsNotThePatchs(t *testing.T) {
	whole := frame(t, empty())
	lost := errors.New("connection lost")
	for n := range whole {
		_, err := apply(nil, io.MultiReader(bytes.NewReader(whole[:n]), broken{lost}))
		if !errors.Is(err, lost) || errors.Is(err, ErrPatch) {
			t.Fatalf("after %d bytes: got %v", n, err)
		}
	}
}

type broken struct{ err error }

func (b broken) Read([]byte) (int, error) { return 0, b.err }

func TestABitmapHasExactlyItsNumbers(t *testing.T) {
	for _, test := range []struct {
		n      int
		bitmap string
		ok     bool
	}{{0, "", true}, {3, "\x07", true}, {3, "\x08", false}, {3, "", false}, {3, "\x00\x00", false}, {8, "\xff", true}, {9, "\xff\x02", false}} {
		s, err := ParseSet(test.n, []byte(test.bitmap))
		if (err == nil) != test.ok {
			t.Errorf("%d numbers in %q: %v", test.n, test.bitmap, err)
		}
		if err == nil && !bytes.Equal(s.Bitmap(), []byte(test.bitmap)) {
			t.Errorf("%q became %q", test.bitmap, s.Bitmap())
		}
	}
}

// FuzzPatch reads whatever comes as the content of a patch: what is accepted stays
// within the size that it says, in order.
func FuzzPatch(f *testing.F) {
	f.Add(append(head(4096, 4096), end(1, 0)...))
	f.Add(bytes.Join([][]byte{head(4096, 5000), run(0, 1, 4096), run(1, 1, 904), end(2, 5000)}, nil))
	f.Add(bytes.Join([][]byte{head(65536, 1<<40), run(3, 1, 65536)}, nil))
	f.Fuzz(func(t *testing.T, content []byte) {
		read(t, bytes.NewReader(frame(t, content)))
	})
}

// FuzzFrame reads whatever comes as a patch.
func FuzzFrame(f *testing.F) {
	f.Add(frame(f, append(head(4096, 4096), end(1, 0)...)))
	f.Add(frame(f, bytes.Join([][]byte{head(4096, 5000), run(0, 1, 4096), run(1, 1, 904), end(2, 5000)}, nil)))
	f.Fuzz(func(t *testing.T, noise []byte) { read(t, bytes.NewReader(noise)) })
}

func read(t *testing.T, r io.Reader) {
	p, err := NewReader(r)
	if err != nil {
		if !errors.Is(err, ErrPatch) {
			t.Fatalf("got %v", err)
		}
		return
	}
	defer p.Close()
	var end int64
	for {
		off, data, err := p.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			if !errors.Is(err, ErrPatch) {
				t.Fatalf("got %v", err)
			}
			return
		}
		if off < end || len(data) == 0 || len(data) > longestRun || off+int64(len(data)) > p.Size {
			t.Fatalf("%d bytes at %d of %d, where the last ended at %d", len(data), off, p.Size, end)
		}
		end = off + int64(len(data))
	}
}

// FuzzDiff has the hashes of the other file come from outside: what differs is within the
// newer file, and the answers end.
func FuzzDiff(f *testing.F) {
	f.Add([]byte("noise"), int64(1<<20), true)
	f.Add(make([]byte, 4096), int64(300000), false)
	f.Fuzz(func(t *testing.T, hashes []byte, theirs int64, pull bool) {
		l := Layout{Extent: SmallestExtent}
		theirs &= 1<<21 - 1
		mine := bytes.NewReader(make([]byte, 300_000))
		d := NewDiff(l, mine, mine.Size(), theirs, pull)
		from := bytes.NewReader(hashes)
		if err := d.Compare(t.Context(), from); err != nil {
			return
		}
		for rounds := 0; ; rounds++ {
			groups, more, err := d.Ask()
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
			if _, err := ParseSet(l.Groups(theirs), groups.Bitmap()); err != nil || rounds > 2 {
				t.Fatalf("%d rounds, %v", rounds, err)
			}
			if err := d.Answer(t.Context(), from); err != nil {
				return
			}
		}
		if _, err := ParseSet(l.Extents(d.newer), d.Differing().Bitmap()); err != nil {
			t.Fatal(err)
		}
	})
}
