package repository

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"hotswap/internal/engine"
	"hotswap/internal/extents"
)

// writing writes the chunks of a version.
type writing struct {
	r       *Repository
	opts    PublishOptions
	layout  extents.Layout
	src     *source
	content contents
	base    base

	index  index
	inHand []int // the extents that are written, in their order
	parts  []name
	chunks atomic.Int64
	bytes  atomic.Int64
	done   atomic.Int64 // bytes of the file
}

// inFlight is how many chunks are written at a time: of packs less than 16 MiB.
const inFlight = 32

// write writes what the base does not have, and returns the names of the index.
func (w *writing) write(ctx context.Context) (names []string, err error) {
	all := w.plan()
	if err := w.writePacks(ctx); err != nil {
		return nil, err
	}
	w.index.setPlaces(all)
	had := map[name]bool{}
	for _, n := range w.base.index.blocks {
		had[n] = true
	}
	for b := range blocksOf(w.index.extents) {
		chunk := block(w.content.digests, b)
		n := nameOf(chunk)
		w.index.blocks = append(w.index.blocks, n)
		if !had[n] {
			if err := w.put(ctx, n, chunk); err != nil {
				return nil, err
			}
		}
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
					w.index.packs = append(w.index.packs, w.base.index.packs[p])
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

// writePacks writes the extents in hand.
func (w *writing) writePacks(ctx context.Context) error {
	most := packExtents(w.layout.Extent)
	packs := w.index.packs[len(w.index.packs)-(len(w.inHand)+most-1)/most:]
	w.done.Store(w.src.size - int64(len(w.inHand))*w.layout.Extent)
	buffers := sync.Pool{New: func() any { return new([packBytes]byte) }}
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
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
			if err := w.put(working, into.name, chunk); err != nil {
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
	if err := w.r.put(ctx, n, chunk); err != nil {
		return err
	}
	w.chunks.Add(1)
	w.bytes.Add(int64(len(chunk)))
	return nil
}

// names are all chunks of the version, also those that were there before.
func (w *writing) names() map[name]bool {
	return namesOf(w.index, w.parts)
}

func namesOf(x index, parts []name) map[name]bool {
	all := make(map[name]bool, len(parts)+len(x.blocks)+len(x.packs))
	for _, n := range slices.Concat(parts, x.blocks) {
		all[n] = true
	}
	for _, p := range x.packs {
		all[p.name] = true
	}
	return all
}

func (w *writing) sent() Sent {
	return Sent{Extents: len(w.inHand), Chunks: int(w.chunks.Load()), Bytes: w.bytes.Load()}
}

// present asks the leader whether all chunks are there. That of those that were just
// acknowledged is known; but a version must not be built on what somebody has removed.
func (r *Repository) present(ctx context.Context, names map[name]bool) error {
	var info *jetstream.StreamInfo
	err := r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		info, err = r.chunks.Info(ctx, jetstream.WithSubjectFilter(engine.ChunkSubjects))
		return err
	})
	if err != nil {
		return r.engine.Explain("look for the chunks", ended(ctx, err))
	}
	missing := 0
	for n := range names {
		if info.State.Subjects[engine.ChunkSubject(n.String())] == 0 {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%w: %d of %d are not there; publish again", ErrChunk, missing, len(names))
	}
	return nil
}
