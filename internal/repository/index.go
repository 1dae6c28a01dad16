package repository

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"hotswap/internal/extents"
)

// index says where the extents of a version are.
type index struct {
	extents int
	blocks  []name // the blocks of the extents' digests
	packs   []packRef
	runs    []run // all extents, in their order
}

// packRef names a pack and says how many extents it has.
type packRef struct {
	name  name
	slots int
}

// run are extents that follow one another in the file and in a pack.
type run struct {
	count int
	pack  int // its place in packs
	slot  int // of the first
}

// ErrIndex: an index is damaged.
var ErrIndex = errors.New("not a valid index")

var indexMagic = []byte("hsindex1")

// encode returns the index as it is kept: compressed.
//
//	"hsindex1"
//	uvarint   extents, and for each 4096 of them 32 bytes: the name of their block
//	uvarint   packs, and for each 32 bytes: its name, and a uvarint: its extents
//	runs      until all extents are in one: uvarints count, pack, first slot
func (x index) encode() []byte {
	b := bytes.Clone(indexMagic)
	b = binary.AppendUvarint(b, uint64(x.extents))
	for _, n := range x.blocks {
		b = append(b, n[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(x.packs)))
	for _, p := range x.packs {
		b = append(b, p.name[:]...)
		b = binary.AppendUvarint(b, uint64(p.slots))
	}
	for _, r := range x.runs {
		for _, n := range []int{r.count, r.pack, r.slot} {
			b = binary.AppendUvarint(b, uint64(n))
		}
	}
	return encoder.EncodeAll(b, nil)
}

// parseIndex reads an index of n extents, each of that many bytes. It reads no more than
// an index of so many may have, however much there is.
func parseIndex(compressed []byte, n int, extent int64) (x index, err error) {
	wrong := func(format string, args ...any) (index, error) {
		return index{}, fmt.Errorf("%w: %s", ErrIndex, fmt.Sprintf(format, args...))
	}
	z, err := zstd.NewReader(bytes.NewReader(compressed), zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(mostWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return x, err
	}
	defer z.Close()
	r := &indexReader{from: z}
	if string(r.bytes(len(indexMagic))) != string(indexMagic) {
		return wrong("it does not begin as one")
	}
	if x.extents = r.number(n); x.extents != n {
		return wrong("it has %d extents and not %d", x.extents, n)
	}
	for i := 0; i < blocksOf(n) && r.err == nil; i++ {
		x.blocks = append(x.blocks, r.name())
	}
	packs, most := r.number(n), packExtents(extent)
	for i := 0; i < packs && r.err == nil; i++ {
		p := packRef{r.name(), r.number(most)}
		if p.slots == 0 {
			return wrong("pack %d has no extents", i)
		}
		x.packs = append(x.packs, p)
	}
	for left := n; left > 0 && r.err == nil; {
		u := run{r.number(left), r.number(packs - 1), r.number(most)}
		if r.err == nil && (u.count == 0 || u.slot+u.count > x.packs[u.pack].slots) {
			return wrong("a run of %d extents from slot %d of pack %d", u.count, u.slot, u.pack)
		}
		x.runs = append(x.runs, u)
		left -= u.count
	}
	if r.err != nil {
		return wrong("%v", r.err)
	}
	if _, err := io.ReadFull(z, make([]byte, 1)); err != io.EOF {
		return wrong("something is behind its end")
	}
	return x, nil
}

// mostWindow is the largest window of a frame that is decompressed.
const mostWindow = 8 << 20

// indexReader reads the parts of an index, until one is wrong.
type indexReader struct {
	from io.Reader
	err  error
	buf  [64]byte
}

func (r *indexReader) bytes(n int) []byte {
	if r.err == nil {
		_, r.err = io.ReadFull(r.from, r.buf[:n])
	}
	return r.buf[:n]
}

func (r *indexReader) name() name { return name(r.bytes(len(name{}))) }

// ReadByte is for binary.ReadUvarint.
func (r *indexReader) ReadByte() (byte, error) {
	b := r.bytes(1)[0]
	return b, r.err
}

// number reads one of at most most.
func (r *indexReader) number(most int) int {
	if r.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		r.err = err
		return 0
	}
	if most < 0 || n > uint64(most) {
		r.err = fmt.Errorf("%d is more than %d", n, most)
		return 0
	}
	return int(n)
}

// place is where an extent is.
type place struct{ pack, slot int }

// places returns where each extent is.
func (x index) places() []place {
	all := make([]place, 0, x.extents)
	for _, r := range x.runs {
		for i := range r.count {
			all = append(all, place{r.pack, r.slot + i})
		}
	}
	return all
}

// setPlaces makes the runs of it.
func (x *index) setPlaces(all []place) {
	x.runs = nil
	for _, p := range all {
		if n := len(x.runs); n > 0 {
			if last := &x.runs[n-1]; last.pack == p.pack && last.slot+last.count == p.slot {
				last.count++
				continue
			}
		}
		x.runs = append(x.runs, run{1, p.pack, p.slot})
	}
}

// packBytes is how many bytes of extents a pack has at most.
const packBytes = 256 << 10

// packExtents is how many extents.
func packExtents(extent int64) int {
	return int(packBytes / min(max(extent, extents.SmallestExtent), packBytes))
}
