package repository

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"hotswap/internal/engine"
)

// sweep removes the chunks up to a sequence that are not named.
func (g *collection) sweep(ctx context.Context, named map[name]bool, last uint64) error {
	chunks, kept, err := g.unnamed(ctx, named, last)
	if err != nil {
		return err
	}
	g.done.Kept = kept
	g.at("listed")
	var removed, bytes atomic.Uint64
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, c := range chunks {
		if g.opts.DryRun {
			removed.Add(1)
			bytes.Add(c.Size)
			continue
		}
		if working.Err() != nil {
			break
		}
		group.Go(func() error {
			gone, err := g.r.engine.DeleteSequence(working, g.r.stream, c.Sequence)
			if gone {
				removed.Add(1)
				bytes.Add(c.Size)
			}
			return err
		})
	}
	if err = group.Wait(); err == nil {
		err = ctx.Err()
	}
	g.done.Chunks, g.done.Bytes = int(removed.Load()), bytes.Load()
	return err
}

// unnamed lists the chunks up to a sequence that are not named, and counts the others.
func (g *collection) unnamed(ctx context.Context, named map[name]bool, last uint64) (chunks []engine.Message, kept int, err error) {
	all, err := g.r.engine.List(ctx, g.r.stream, last)
	if err != nil {
		return nil, 0, err
	}
	for _, m := range all {
		if n, err := parseName(engine.ChunkName(m.Subject)); err == nil && named[n] {
			kept++
		} else {
			chunks = append(chunks, m)
		}
	}
	return chunks, kept, nil
}
