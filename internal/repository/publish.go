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
	// Objects is the URL of the object storage that gets the chunks, OnEngine for the engine,
	// and "" for where those of the version before are.
	Objects string
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
	before, err := r.before(working, intent)
	if err != nil {
		return done, ended(working, err)
	}
	failed := func(err error) (Publication, error) {
		return done, fmt.Errorf("publish %s: %w", intent.v, ended(working, err))
	}
	w := &writing{opts: opts, layout: layout, src: src, content: content, patience: r.engine.Patience()}
	if w.to, w.dir, err = r.destination(working, intent, before, &w.opts); err != nil {
		return failed(err)
	}
	names, err := w.onTop(working, r, before)
	if err != nil {
		return failed(err)
	}
	m := Manifest{
		Format: manifestFormat, Version: intent.v, Size: src.size, PageSize: src.pageSize, Extent: layout.Extent,
		SHA256: content.sha256, Tag: content.tag, Schema: src.schema, Parent: before.Number, Index: names,
		Message: opts.Message, Who: opts.Who, Host: opts.Host, Created: time.Now().UTC().Truncate(time.Second),
	}
	if w.dir != "" {
		m.Objects = &Location{w.opts.Objects, w.dir}
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
