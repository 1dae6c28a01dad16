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
	dirs    []string // of the chunks in object storage; none for those on the engine
	blocks  []ref    // the blocks of the extents' digests
	packs   []packRef
	runs    []run // all extents, in their order
}

// ref names a chunk, and says in which of the index's directories it is.
type ref struct {
	name name
	dir  int
}

// packRef names a pack and says how many extents it has.
type packRef struct {
	ref
	slots int
}

// in is the directory of a chunk.
func (x index) in(r ref) string {
	if len(x.dirs) == 0 {
		return ""
	}
	return x.dirs[r.dir]
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
//	uvarint   directories, and for each a uvarint: its length, and its name
//	uvarint   extents, and for each 4096 of them the chunk of their block
//	uvarint   packs, and for each its chunk, and a uvarint: its extents
//	runs      until all extents are in one: uvarints count, pack, first slot
//
// A chunk is 32 bytes: its name, and if there are directories a uvarint: which.
func (x index) encode() []byte {
	b := bytes.Clone(indexMagic)
	chunk := func(r ref) {
		if b = append(b, r.name[:]...); len(x.dirs) > 0 {
			b = binary.AppendUvarint(b, uint64(r.dir))
		}
	}
	b = binary.AppendUvarint(b, uint64(len(x.dirs)))
	for _, dir := range x.dirs {
		b = binary.AppendUvarint(b, uint64(len(dir)))
		b = append(b, dir...)
	}
	b = binary.AppendUvarint(b, uint64(x.extents))
	for _, r := range x.blocks {
		chunk(r)
	}
	b = binary.AppendUvarint(b, uint64(len(x.packs)))
	for _, p := range x.packs {
		chunk(p.ref)
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
	// Each directory has a pack or a block at least.
	for i, dirs := 0, r.number(n+blocksOf(n)); i < dirs && r.err == nil; i++ {
		x.dirs = append(x.dirs, r.dir())
	}
	chunk := func() (c ref) {
		if c.name = r.name(); len(x.dirs) > 0 {
			c.dir = r.number(len(x.dirs) - 1)
		}
		return c
	}
	if x.extents = r.number(n); x.extents != n {
		return wrong("it has %d extents and not %d", x.extents, n)
	}
	for i := 0; i < blocksOf(n) && r.err == nil; i++ {
		x.blocks = append(x.blocks, chunk())
	}
	packs, most := r.number(n), packExtents(extent)
	for i := 0; i < packs && r.err == nil; i++ {
		p := packRef{chunk(), r.number(most)}
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
	buf  [mostDir]byte
}

func (r *indexReader) bytes(n int) []byte {
	if r.err == nil {
		_, r.err = io.ReadFull(r.from, r.buf[:n])
	}
	return r.buf[:n]
}

func (r *indexReader) name() name { return name(r.bytes(len(name{}))) }

// dir reads the name of a directory.
func (r *indexReader) dir() string {
	text := string(r.bytes(r.number(len(r.buf))))
	if r.err == nil && !validDir(text) {
		r.err = fmt.Errorf("%q is not a directory", text)
	}
	return text
}

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
