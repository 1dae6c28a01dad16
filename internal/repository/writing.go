package repository

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"hotswap/internal/extents"
)

// writing writes the chunks of a version.
type writing struct {
	to      chunks
	dir     string // in object storage, of the chunks that are written
	opts    PublishOptions
	layout  extents.Layout
	src     *source
	content contents
	base    base
	// patience is how long the engine is waited for.
	patience time.Duration

	index  index
	inHand []int // the extents that are written, in their order
	parts  []name
	chunks atomic.Int64
	bytes  atomic.Int64
	done   atomic.Int64 // bytes of the file
}

// inFlight is how many chunks are written at a time at most: of packs less than 16 MiB.
const inFlight = 32

// write writes what the base does not have, and returns the names of the index.
func (w *writing) write(ctx context.Context) (names []string, err error) {
	all := w.plan()
	if err := w.writePacks(ctx); err != nil {
		return nil, err
	}
	w.index.setPlaces(all)
	had := map[name]ref{}
	for _, r := range w.base.index.blocks {
		had[r.name] = r
	}
	for b := range blocksOf(w.index.extents) {
		chunk := block(w.content.digests, b)
		n := nameOf(chunk)
		there, ok := had[n]
		if ok {
			w.index.blocks = append(w.index.blocks, w.refer(there))
			continue
		}
		if err := w.put(ctx, n, chunk); err != nil {
			return nil, err
		}
		w.index.blocks = append(w.index.blocks, ref{name: n})
	}
	for part := range slices.Chunk(w.index.encode(), mostChunk) {
		n := nameOf(part)
		if err := w.put(ctx, n, part); err != nil {
			return nil, err
		}
		w.parts = append(w.parts, n)
		names = append(names, n.String())
	}
	return names, nil
}

// plan decides which packs of the base are referred to, and what is written. A pack is
// used only if at least half of its extents are: so what is kept for a version is at most
// about twice what it needs, and nothing that is kept ever has to be rewritten.
func (w *writing) plan() []place {
	n := len(w.content.digests)
	w.index.extents = n
	if w.dir != "" {
		w.index.dirs = []string{w.dir}
	}
	all := make([]place, n)
	there := w.base.index.places()
	same := func(i int) bool { return i < len(there) && w.content.digests[i] == w.base.digests[i] }
	used := make([]int, len(w.base.index.packs))
	for i := range n {
		if same(i) {
			used[there[i].pack]++
		}
	}
	moved := make([]int, len(used)) // to its place in the new index, plus one
	for i := range n {
		if same(i) {
			p := there[i].pack
			if 2*used[p] >= w.base.index.packs[p].slots {
				if moved[p] == 0 {
					old := w.base.index.packs[p]
					w.index.packs = append(w.index.packs, packRef{w.refer(old.ref), old.slots})
					moved[p] = len(w.index.packs)
				}
				all[i] = place{moved[p] - 1, there[i].slot}
				continue
			}
		}
		w.inHand = append(w.inHand, i)
	}
	old, most := len(w.index.packs), packExtents(w.layout.Extent)
	for k, i := range w.inHand {
		all[i] = place{old + k/most, k % most}
	}
	for k := 0; k < len(w.inHand); k += most {
		w.index.packs = append(w.index.packs, packRef{slots: min(most, len(w.inHand)-k)})
	}
	return all
}

// refer makes a reference to a chunk of the base's one of the version's.
func (w *writing) refer(old ref) ref {
	if w.dir == "" {
		return old
	}
	dir := w.base.index.in(old)
	at := slices.Index(w.index.dirs, dir)
	if at < 0 {
		w.index.dirs, at = append(w.index.dirs, dir), len(w.index.dirs)
	}
	return ref{old.name, at}
}

// writePacks writes the extents in hand.
func (w *writing) writePacks(ctx context.Context) error {
	most := packExtents(w.layout.Extent)
	packs := w.index.packs[len(w.index.packs)-(len(w.inHand)+most-1)/most:]
	w.done.Store(w.src.size - int64(len(w.inHand))*w.layout.Extent)
	buffers := sync.Pool{New: func() any { return new([packBytes]byte) }}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	flight := newFlight(inFlight, w.patience)
	at := 0
	for part := range slices.Chunk(w.inHand, most) {
		into := &packs[at]
		at++
		if working.Err() != nil {
			break
		}
		group.Go(func() error {
			buf := buffers.Get().(*[packBytes]byte)
			defer buffers.Put(buf)
			data, err := w.read(part, buf[:])
			if err != nil {
				return err
			}
			chunk := encoder.EncodeAll(data, nil)
			into.name = nameOf(chunk)
			if err := flight.fly(working, func() error { return w.put(working, into.name, chunk) }); err != nil {
				return err
			}
			done := w.done.Add(int64(len(data)))
			if w.opts.Progress != nil {
				w.opts.Progress(min(done, w.src.size), w.src.size)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// read reads extents, one behind the other; what the file's last one lacks is zeros.
func (w *writing) read(numbers []int, buf []byte) ([]byte, error) {
	data := buf[:int64(len(numbers))*w.layout.Extent]
	clear(data)
	for k := 0; k < len(numbers); {
		run := 1
		for k+run < len(numbers) && numbers[k+run] == numbers[k]+run {
			run++
		}
		off := int64(numbers[k]) * w.layout.Extent
		into := data[int64(k)*w.layout.Extent : int64(k+run)*w.layout.Extent]
		into = into[:min(int64(len(into)), w.src.size-off)]
		if _, err := w.src.held.ReadAt(into, off); err != nil {
			return nil, readFailed(err, off)
		}
		k += run
	}
	return data, nil
}

// put writes a chunk and counts it.
func (w *writing) put(ctx context.Context, n name, chunk []byte) error {
	w.opts.at("chunk")
	if err := w.to.put(ctx, w.dir, n, chunk); err != nil {
		return err
	}
	w.chunks.Add(1)
	w.bytes.Add(int64(len(chunk)))
	return nil
}

// namesOf are all chunks of a version.
func namesOf(x index, parts []name) map[name]bool {
	all := make(map[name]bool, len(parts)+len(x.blocks)+len(x.packs))
	for _, n := range parts {
		all[n] = true
	}
	for _, r := range x.blocks {
		all[r.name] = true
	}
	for _, p := range x.packs {
		all[p.name] = true
	}
	return all
}

func (w *writing) sent() Sent {
	return Sent{Extents: len(w.inHand), Chunks: int(w.chunks.Load()), Bytes: w.bytes.Load()}
}
