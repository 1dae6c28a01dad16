package fleet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"hotswap/internal/printable"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/swapper"
)

// staged is a version that is ready to be swapped in.
type staged struct {
	version uint64
	tag     string // of the version
	*swapper.Staged
	back *wayBack // from it
}

// discard removes what was prepared.
func (d *database) discard() {
	if d.staged != nil {
		d.staged.Discard()
		d.staged.back.release()
		d.staged.back.small.give()
		d.staged = nil
	}
	d.change(func(s *records.Database) { s.Prepared = 0 })
}

// prepare fetches and checks a version, so that it can be swapped in; tag is what it was named
// with. Of one that turns out to be live already, nothing is staged.
func (d *database) prepare(ctx context.Context, number uint64, tag string) (err error) {
	if s := d.staged; s != nil && s.version == number && (tag == "" || s.tag == tag) {
		return nil
	}
	d.discard()
	v := d.version(number)
	defer func() {
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("prepare %s: %w", v, noRoom(err))
		}
	}()
	store := d.node.storeNow()
	published, err := store.Manifest(ctx, v.internal())
	if err != nil {
		return err
	}
	if tag != "" && tag != published.Tag {
		return fmt.Errorf("what the engine has under that number %w by it: it was emptied, or is from an older copy; order a version anew", errAnother)
	}
	got, err := d.get(ctx, published)
	if err != nil || got == nil {
		return err
	}
	defer got.drop()
	d.phase(records.Checking)
	opts := d.node.cfg.push(v, got.size, got.live)
	opts.Validate = d.validate(v)
	ready, report, err := swapper.Stage(ctx, d.db, got.source, opts)
	if differs, ok := errors.AsType[*swapper.SchemaError](err); ok { // a push's advice is for people who push
		return fmt.Errorf("the %w from the live one: %w; a program that is to take it sets Config.SkipSchemaCheck", swapper.ErrSchema, differs)
	}
	if err != nil {
		return err
	}
	if d.back.taken() {
		d.settle() // it has become the stage, or was for another version
	}
	if d.staged, err = d.stagedOf(got, published, ready); err != nil {
		return err
	}
	d.change(func(s *records.Database) { s.Prepared, s.Phase, d.ready = number, records.Prepared, published.Tag })
	d.log.Info().Stringer("version", v).Int64("bytes", report.Bytes).Msg("prepared")
	return nil
}

// validate calls Validate, with an end; nil if there is none.
func (d *database) validate(v Version) func(context.Context, *sql.DB) error {
	fn := d.node.cfg.Validate
	if fn == nil {
		return nil
	}
	patience := rollout.Plan{}.Patience()
	d.mu.Lock()
	if o := d.view.order; o != nil {
		patience = o.Patience()
	}
	d.mu.Unlock()
	return func(ctx context.Context, db *sql.DB) error {
		ctx, cancel := awake(ctx, patience)
		defer cancel()
		return d.hooks.call(ctx, "Validate", v, func(ctx context.Context) error { return fn(ctx, v, db) })
	}
}

// fetch gets a version into a file without a name, in the database's directory, of which
// nothing is left when the program is killed; there is none if the version is live. The copy of
// the live database that it takes is the way back to that.
func (d *database) fetch(ctx context.Context, p repository.Published) (_ *gotten, err error) {
	d.settle() // no version is gone back from any more once another one is wanted
	d.change(func(s *records.Database) { s.Phase, s.Fetched, s.Size, s.Bytes = records.Fetching, 0, p.Size, 0 })
	var have []repository.Local
	held, tag, err := d.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	g := &gotten{size: p.Size, back: newBack(d.db.Path())}
	defer func() {
		if g.file == nil || err != nil {
			g.drop()
		}
	}()
	if held != nil {
		g.back.copy = held
		if g.live, err = d.compare(ctx, tag, isEmpty(held)); err != nil {
			return nil, err
		}
		if now := d.current(); now.Have == p.Number && now.Content == "" {
			return nil, nil
		}
		have = append(have, repository.Local{File: held, Size: held.Size()})
	}
	kept, _ := swapper.Backups(d.db.Path())
	for _, b := range kept[:min(d.node.cfg.Keep, len(kept))] {
		if f, err := os.Open(b.Path); err == nil {
			defer f.Close()
			have = append(have, repository.Local{File: f, Size: b.Size})
		}
	}
	if g.file, err = unnamed(d.dir(), p.Size); err != nil {
		return nil, err
	}
	g.source = sourceOf(g.file, p.Size, false)
	err = d.node.storeNow().Fetch(ctx, p, g.file, have, d.fetched)
	d.mu.Lock()
	d.totalBytes += d.state.Bytes
	d.mu.Unlock()
	return g, err
}

// fetchedRest is the least time between two reports of how far a fetch is: it is told of each
// piece.
const fetchedRest = time.Second

// fetched is told how far a fetch is.
func (d *database) fetched(f repository.Fetched) {
	d.mu.Lock()
	s := &d.state
	s.Fetched, s.Bytes = max(s.Fetched, f.Done), max(s.Bytes, f.Bytes)
	say := time.Since(d.fetchSaid) > fetchedRest
	if say {
		d.fetchSaid = time.Now()
	}
	d.mu.Unlock()
	if say {
		d.node.changed()
	}
}

// compare finds out whether the live database, which has that tag, may be replaced, and
// returns the tag that it must have then still.
func (d *database) compare(ctx context.Context, tag string, empty bool) (string, error) {
	if d.node.cfg.Diverged == Replace || empty {
		return "", nil
	}
	if tag == d.tag && d.current().Content == "" {
		return matched(tag), nil
	}
	have, content, err := d.identify(ctx, tag, d.isForeign())
	if err != nil {
		return "", err
	}
	d.change(func(s *records.Database) { s.Have, s.Tag, s.Content = have.Version, have.Tag, content })
	if content != "" {
		return "", diverged(content)
	}
	d.tag = tag
	return matched(tag), nil
}

// diverged is the error of a database that is left alone because it is not what was published.
func diverged(content string) error {
	return fmt.Errorf("%w: %s (push a published version by hand, or let the node join with Diverged: Replace)", errDiverged, content)
}

// matched is the tag for a push to compare, which it can on Linux alone. Elsewhere what is
// written between the preparation and the swap goes unnoticed, and is in the backup.
func matched(tag string) string {
	if runtime.GOOS != "linux" {
		return ""
	}
	return tag
}

// unnamed makes a file of that size in a directory, and removes its name. Its room is
// reserved; as much again, for the copy that becomes the live database, and the ballast must be
// there.
func unnamed(dir string, size int64) (*os.File, error) {
	if err := room(dir, 2*size+2*ballastSize(dir)); err != nil {
		return nil, err
	}
	return nameless(dir, size)
}

// nameless makes a file without a name, and reserves its room.
func nameless(dir string, size int64) (*os.File, error) {
	file, err := os.CreateTemp(dir, ".hotswap-fetch-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	if err := allocate(file, size); err != nil {
		file.Close()
		return nil, fmt.Errorf("%w: reserve %s in %s: %w: "+makeRoom, swapper.ErrNoSpace, printable.Size(size), printable.Line(dir), err)
	}
	return file, nil
}
