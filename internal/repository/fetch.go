package repository

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Local is a file that is here already: the live database of before, a snapshot of it, or
// a version that is kept. Nothing may write to it meanwhile; if something does, the fetch
// fails, or what was read is whole all the same.
type Local struct {
	File io.ReaderAt
	Size int64
}

// Fetched is how far a fetch is.
type Fetched struct {
	// Done and Total are bytes of the file; Local are those of Done that were here.
	Done, Total, Local int64
	// Bytes are of the chunks, as they travelled.
	Bytes int64
}

// atOnce is how many packs are fetched at a time at most: less than 16 MiB with what is made of them.
const atOnce = 16

// Fetch writes a version into dst, which it reads again at the end: what it leaves there
// has the manifest's SHA-256. What have has of it is not fetched. It does not sync dst.
// progress may be nil; it is called by one goroutine at a time, at last with all.
func (r *Repository) Fetch(ctx context.Context, p Published, dst *os.File, have []Local, progress func(Fetched)) error {
	from, err := r.chunksOf(ctx, p.Manifest)
	f := &fetching{from: from, m: p.Manifest, dst: dst, progress: progress, flight: newFlight(atOnce, r.engine.Patience())}
	if err == nil {
		err = f.run(ctx, have)
	}
	if err != nil {
		return fmt.Errorf("fetch %s: %w", p.Version, ended(ctx, err))
	}
	return nil
}

type fetching struct {
	from     chunks
	m        Manifest
	dst      *os.File
	progress func(Fetched)
	flight   *flight

	index   index
	digests []digest // of the version, as far as they were needed
	missing []bool   // the extents that are not in dst yet
	buf     []byte   // of copy
	local   atomic.Int64
	bytes   atomic.Int64

	mu   sync.Mutex // guards done, and that progress is called once at a time
	done int64
}

func (f *fetching) run(ctx context.Context, have []Local) (err error) {
	if f.index, err = readIndex(ctx, f.from, f.m); err != nil {
		return err
	}
	if err := f.dst.Truncate(f.m.Size); err != nil {
		return err
	}
	f.missing = make([]bool, f.index.extents)
	for i := range f.missing {
		f.missing[i] = true
	}
	for _, l := range have {
		if err := f.take(ctx, l); err != nil {
			return err
		}
	}
	if err := f.fetch(ctx); err != nil {
		return err
	}
	f.reached(0)
	return f.verify(ctx)
}

// length is that of an extent.
func (f *fetching) length(i int) int64 {
	return min(f.m.Extent, f.m.Size-int64(i)*f.m.Extent)
}

// take copies what a local file has.
func (f *fetching) take(ctx context.Context, l Local) error {
	size := min(l.Size, f.m.Size)
	own, err := digestsOf(ctx, f.m.layout(), l.File, size, nil)
	if err != nil {
		return err
	}
	if f.digests == nil {
		f.digests = make([]digest, f.index.extents)
	}
	for b := range blocksOf(len(own)) {
		from, to := b*blockExtents, min((b+1)*blockExtents, len(own))
		equal := own[from:to]
		if nameOf(block(own, b)) != f.index.blocks[b].name {
			if equal, err = readBlock(ctx, f.from, f.index, b); err != nil {
				return err
			}
			f.bytes.Add(int64(len(equal) * len(digest{})))
		}
		copy(f.digests[from:], equal)
		if err := f.copyEqual(ctx, l, own, from, to); err != nil {
			return err
		}
	}
	return nil
}

// copyEqual copies the extents from one to another that are missing and equal, in runs.
func (f *fetching) copyEqual(ctx context.Context, l Local, own []digest, from, to int) error {
	same := func(i int) bool { return f.missing[i] && own[i] == f.digests[i] }
	for i := from; i < to; {
		if !same(i) {
			i++
			continue
		}
		end := i + 1
		for end < to && same(end) {
			end++
		}
		off := int64(i) * f.m.Extent
		n := min(int64(end)*f.m.Extent, f.m.Size) - off
		if err := f.copy(l.File, off, n); err != nil {
			return err
		}
		for ; i < end; i++ {
			f.missing[i] = false
		}
		f.local.Add(n)
		f.reached(n)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// copy copies a range to its place.
func (f *fetching) copy(from io.ReaderAt, off, n int64) error {
	if f.buf == nil {
		f.buf = make([]byte, 1<<20)
	}
	for n > 0 {
		piece := f.buf[:min(n, int64(len(f.buf)))]
		if _, err := from.ReadAt(piece, off); err != nil && err != io.EOF {
			return readFailed(err, off)
		}
		if _, err := f.dst.WriteAt(piece, off); err != nil {
			return err
		}
		off, n = off+int64(len(piece)), n-int64(len(piece))
	}
	return nil
}

// wanted are the missing extents of one pack.
type wanted struct {
	pack    int
	extents []int
	slots   []int
}

// fetch gets the packs that have what is missing.
func (f *fetching) fetch(ctx context.Context) error {
	byPack := map[int]*wanted{}
	var order []*wanted // by the place in the file
	for i, at := range f.index.places() {
		if !f.missing[i] {
			continue
		}
		w := byPack[at.pack]
		if w == nil {
			w = &wanted{pack: at.pack}
			byPack[at.pack], order = w, append(order, w)
		}
		w.extents, w.slots = append(w.extents, i), append(w.slots, at.slot)
	}
	buffers := sync.Pool{New: func() any { return new([packBytes]byte) }}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, w := range order {
		if working.Err() != nil {
			break
		}
		group.Go(func() error {
			buf := buffers.Get().(*[packBytes]byte)
			defer buffers.Put(buf)
			return f.place(working, w, buf[:])
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// place fetches a pack, and writes the extents that are wanted.
func (f *fetching) place(ctx context.Context, w *wanted, buf []byte) error {
	pack := f.index.packs[w.pack]
	var chunk []byte
	err := f.flight.fly(ctx, func() (err error) {
		chunk, err = f.from.get(ctx, f.index.in(pack.ref), pack.name)
		return err
	})
	if err != nil {
		return err
	}
	f.bytes.Add(int64(len(chunk)))
	data, err := unpack(chunk, buf, pack.slots*int(f.m.Extent))
	if err != nil {
		return fmt.Errorf("%s: %w", pack.name, err)
	}
	for k := 0; k < len(w.extents); {
		run, n := 1, f.length(w.extents[k])
		for k+run < len(w.extents) && w.extents[k+run] == w.extents[k]+run && w.slots[k+run] == w.slots[k]+run {
			n += f.length(w.extents[k+run])
			run++
		}
		from := int64(w.slots[k]) * f.m.Extent
		if _, err := f.dst.WriteAt(data[from:from+n], int64(w.extents[k])*f.m.Extent); err != nil {
			return err
		}
		f.reached(n)
		k += run
	}
	return nil
}

// reached counts bytes that are in dst.
func (f *fetching) reached(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done += n
	if f.progress != nil {
		f.progress(Fetched{Done: f.done, Total: f.m.Size, Local: f.local.Load(), Bytes: f.bytes.Load()})
	}
}

// verify reads what is in dst.
func (f *fetching) verify(ctx context.Context) error {
	hash, buf := sha256.New(), make([]byte, min(1<<20, f.m.Size))
	for at := int64(0); at < f.m.Size; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		piece := buf[:min(int64(len(buf)), f.m.Size-at)]
		if _, err := f.dst.ReadAt(piece, at); err != nil && err != io.EOF {
			return readFailed(err, at)
		}
		hash.Write(piece)
		at += int64(len(piece))
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); sum != f.m.SHA256 {
		return fmt.Errorf("%w: the result has the SHA-256 %s and not %s", ErrPack, sum, f.m.SHA256)
	}
	return nil
}
