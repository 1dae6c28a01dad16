package fleet

import (
	"context"
	"errors"
	"io"
	"os"

	"hotswap/internal/repository"
	"hotswap/internal/statetag"
	"hotswap/swapper"
)

// gotten is a version that is there whole, to be checked.
type gotten struct {
	file   *os.File
	source io.Reader // of the same
	size   int64
	live   string   // the tag that the live database must have when it is swapped in, or "" if that does not matter
	back   *wayBack // from it; nil once it is staged
	kept   bool
}

// drop gives up what has not become staged.
func (g *gotten) drop() {
	g.file.Close()
	if g.back != nil {
		g.back.release()
	}
}

// stagedOf takes over what is needed from now on. Room is reserved before anybody is told that
// the version is prepared; for one that the node goes back to, what there is.
func (d *database) stagedOf(g *gotten, p repository.Published, ready *swapper.Staged) (*staged, error) {
	g.file.Close() // of which the room is free again
	if err := errors.Join(d.back.small.take(), g.back.small.take()); err != nil && !g.kept {
		ready.Discard()
		g.back.small.give()
		return nil, err
	}
	s := &staged{p.Number, p.Tag, ready, g.back}
	g.back = nil
	return s, nil
}

// get has a version there: of those that the node goes back to one may be kept. It returns
// nil if the version turns out to be live.
func (d *database) get(ctx context.Context, p repository.Published) (*gotten, error) {
	if p.Number < d.current().Have {
		if kept, err := d.findKept(ctx, p); kept != nil || err != nil {
			return kept, err
		}
	}
	return d.fetch(ctx, p)
}

// findKept finds a version among the backups, or returns nil. No copy of the live database is
// taken, and nothing is fetched: going back is what the room on the disk is kept for.
func (d *database) findKept(ctx context.Context, p repository.Published) (*gotten, error) {
	backups, err := swapper.Backups(d.db.Path())
	if err != nil {
		return nil, err
	}
	for _, b := range backups[:min(d.node.cfg.Keep, len(backups))] {
		file, err := os.Open(b.Path)
		if err != nil {
			continue
		}
		if tag, err := statetag.Of(ctx, file, b.Size); err != nil || tag != p.Tag {
			file.Close()
			continue
		}
		g := &gotten{file: file, size: b.Size, back: newBack(d.db.Path()), kept: true}
		if g.live, err = d.mayReplace(ctx); err == nil {
			g.source, err = d.again(ctx, file, b.Size)
		}
		if err != nil {
			file.Close()
			return nil, err
		}
		return g, nil
	}
	return nil, ctx.Err()
}

// mayReplace is compare, of the live database as it is.
func (d *database) mayReplace(ctx context.Context) (tag string, err error) {
	live, err := d.read(ctx)
	if err != nil {
		return "", err
	}
	return d.compare(ctx, live.tag, live.empty)
}
