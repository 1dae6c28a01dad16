package repository

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/extents"
	"hotswap/internal/trust"
)

// PublishOptions are the settings of Publish.
type PublishOptions struct {
	Message, Who, Host string
	// Key signs the version.
	Key ed25519.PrivateKey
	// SkipCheck leaves out the integrity check, SkipConstraintCheck accepts rows that break a
	// constraint: as in swapper.PushOptions.
	SkipCheck, SkipConstraintCheck bool
	// Anew writes all chunks, also those that are there already: one that was damaged is
	// whole again afterwards, for all versions that have it.
	Anew bool
	// Progress, if set, is told how far the writing is, in bytes of the file; by several
	// goroutines at once.
	Progress func(done, total int64)

	// Of tests: how long the intent lasts (0 means intentTTL), whether nobody renews it, and
	// what is called before each step.
	intentTTL time.Duration
	asleep    bool
	step      func(string)
}

func (o PublishOptions) ttl() time.Duration { return cmp.Or(o.intentTTL, intentTTL) }

// Publication is what Publish has done.
type Publication struct {
	Published
	Sent Sent
}

// Sent is what was written to the engine for a version.
type Sent struct {
	// Extents are how many were new, or packed anew, of all.
	Extents int `json:"extents"`
	Chunks  int `json:"chunks"`
	// Bytes are of the chunks, as they travel.
	Bytes int64 `json:"bytes"`
}

// Publish publishes the database file at path as the next version of a channel. It may run
// beside anything: publishers at once get a number each.
//
//	copy -> check -> digests -> intent -> base -> chunks -> look -> commit
//
// A publisher that dies before the commit leaves an intent, which expires, and chunks that
// no version names, which a collection removes.
func (r *Repository) Publish(ctx context.Context, channel, path string, opts PublishOptions) (done Publication, err error) {
	if err := engine.CheckName("channel", channel); err != nil {
		return done, err
	}
	src, err := openSource(ctx, path, opts)
	if err != nil {
		return done, err
	}
	defer src.close()
	layout := extents.Layout{Extent: extents.NewLayout(src.pageSize).Extent}
	if err := layout.Check(src.size); err != nil {
		return done, err
	}
	content, err := readContents(ctx, layout, src.held, src.size)
	if err != nil {
		return done, err
	}

	intent, working, err := r.declare(ctx, channel, opts)
	if err != nil {
		return done, err
	}
	defer intent.end()
	defer func() {
		if err != nil {
			intent.withdraw(ctx)
		}
	}()
	base, err := r.base(working, intent, layout, opts.Anew)
	if err != nil {
		return done, ended(working, err)
	}
	w := &writing{r: r, opts: opts, layout: layout, src: src, content: content, base: base}
	names, err := w.write(working)
	if err != nil {
		return done, fmt.Errorf("publish %s: %w", intent.v, ended(working, err))
	}
	if err := r.present(working, w.names()); err != nil {
		return done, fmt.Errorf("publish %s: %w", intent.v, ended(working, err))
	}
	m := Manifest{
		Format: manifestFormat, Version: intent.v, Size: src.size, PageSize: src.pageSize, Extent: layout.Extent,
		SHA256: content.sha256, Tag: content.tag, Schema: src.schema, Parent: base.number, Index: names,
		Message: opts.Message, Who: opts.Who, Host: opts.Host, Created: time.Now().UTC().Truncate(time.Second),
	}
	rec := record{State: IsPublished}
	if rec.Manifest, err = json.Marshal(m); err != nil {
		return done, err
	}
	if _, err := parseManifest(rec.Manifest, m.Version); err != nil { // which nobody could use
		return done, fmt.Errorf("publish %s: %w", path, err)
	}
	rec.Seal = trust.Sign(opts.Key, manifestKind, rec.Manifest)
	opts.at("commit")
	revision, err := intent.commit(working, rec)
	if err != nil {
		return done, err
	}
	return Publication{Published{m, IsPublished, rec.Key, revision, m.Created}, w.sent()}, nil
}

// at is for tests, which break off there.
func (o PublishOptions) at(step string) {
	if o.step != nil {
		o.step(step)
	}
}

// base is the version whose chunks a new one may refer to.
type base struct {
	number  uint64 // 0 for none
	index   index
	digests []digest
}

// base reads the channel's newest version before this one: a publisher that took its number
// later may be done already. All that was published or retired before the intent is seen
// here; what is retired later, whoever retires it sees the intent.
func (r *Repository) base(ctx context.Context, i *intent, l extents.Layout, anew bool) (b base, err error) {
	entries, err := r.engine.ReadUpTo(ctx, r.fleet, i.first, versionKeys(i.v.Channel)+"*")
	if err != nil {
		return b, err
	}
	var newest Published
	all, _ := r.versions(entries, i.v.Channel) // what is not trusted is no base
	for _, p := range all {
		if p.State == IsPublished && p.Number < i.v.Number {
			newest = p
		}
	}
	if newest.Number > 0 && newest.Extent == l.Extent && !anew {
		// One that lacks a chunk is no base, and all of the new one is written.
		if b.index, b.digests, err = r.readWhole(ctx, newest.Manifest); err != nil {
			b = base{}
		}
		if ctx.Err() != nil {
			return base{}, context.Cause(ctx)
		}
	}
	b.number = newest.Number
	return b, nil
}

// readWhole reads the index and the digests of a version that has all its chunks.
func (r *Repository) readWhole(ctx context.Context, m Manifest) (x index, digests []digest, err error) {
	if x, err = r.readIndex(ctx, m); err != nil {
		return x, nil, err
	}
	if err := r.present(ctx, namesOf(x, nil)); err != nil {
		return x, nil, err
	}
	digests, err = r.readDigests(ctx, x)
	return x, digests, err
}
