package repository

import (
	"context"
	"fmt"
)

// base is the version whose chunks a new one may refer to.
type base struct {
	index   index
	digests []digest
}

// before reads the channel's newest version before this one, the zero Published if there is
// none: a publisher that took its number later may be done already. All that was published or
// retired before the intent is seen here; what is retired later, whoever retires it sees the
// intent.
func (r *Repository) before(ctx context.Context, i *intent) (newest Published, err error) {
	entries, err := r.engine.ReadUpTo(ctx, r.fleet, i.first, versionKeys(i.v.Channel)+"*")
	if err != nil {
		return newest, err
	}
	all, _ := r.versions(entries, i.v.Channel) // what is not trusted is no base
	for _, p := range all {
		if p.State == IsPublished && p.Number < i.v.Number {
			newest = p
		}
	}
	return newest, nil
}

// onTop writes the version with the one before as its base, if that can be one, and returns
// the names of the index. A version must not be built on what somebody has removed: if the
// base lacks a chunk, all of the new one is written.
func (w *writing) onTop(ctx context.Context, r *Repository, before Published) ([]string, error) {
	if w.mayBeBase(before) {
		w.base = readBase(ctx, w.to, before.Manifest)
	}
	for {
		names, err := w.write(ctx)
		if err != nil {
			return nil, err
		}
		missing, err := w.to.missing(ctx, w.index, w.parts)
		if err != nil || missing == 0 {
			return names, err
		}
		if w.base.digests == nil {
			return nil, fmt.Errorf("%w: %d are not there that were written; publish again", ErrChunk, missing)
		}
		w.base, w.index, w.inHand, w.parts = base{}, index{}, nil, nil
	}
}

// mayBeBase reports whether the version before can be a base. One in another bucket is found
// to be none when its index is not there.
func (w *writing) mayBeBase(before Published) bool {
	return before.Number > 0 && before.Extent == w.layout.Extent && !w.opts.Anew && (before.Objects == nil) == (w.dir == "")
}

// readBase reads the index and the digests of a version; none if it lacks them.
func readBase(ctx context.Context, from chunks, m Manifest) (b base) {
	x, err := readIndex(ctx, from, m)
	if err != nil {
		return base{}
	}
	digests, err := readDigests(ctx, from, x)
	if err != nil {
		return base{}
	}
	return base{x, digests}
}
