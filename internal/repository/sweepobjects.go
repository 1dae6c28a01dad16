package repository

import (
	"context"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"hotswap/internal/engine"
)

// object is one of a bucket.
type object struct {
	url, key string
	size     int64
}

// listObjects takes down which objects of this fleet there are, in the buckets that a version
// names, one that is about to be removed, too.
func (g *collection) listObjects(ctx context.Context, entries engine.Entries) error {
	urls := map[string]bool{}
	for _, all := range versionsIn(entries) {
		for _, e := range all {
			m, err := parseManifest(e.record.Manifest, e.version)
			if err == nil && m.Objects != nil {
				urls[m.Objects.URL] = true
			}
		}
	}
	if len(urls) == 0 {
		return nil
	}
	root, err := g.r.root(ctx)
	if err != nil {
		return err
	}
	for url := range urls {
		b, err := g.r.bucket(ctx, url)
		if err != nil {
			return err
		}
		err = b.open.List(ctx, root+"/", func(key string, size int64) {
			g.objects = append(g.objects, object{url, key, size})
		})
		if err != nil {
			return b.failed(err)
		}
	}
	return nil
}

// sweepObjects removes those that are not named. What is in a directory of a revision that the
// engine had not given when this began is left: the engine may be from a copy of another one's
// directory, or restored from an older one.
func (g *collection) sweepObjects(ctx context.Context, named map[object]bool) error {
	group, working := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, o := range g.objects {
		if named[object{url: o.url, key: o.key}] || revisionOf(o.key) >= g.began {
			g.done.Kept++
			continue
		}
		g.done.Chunks++
		g.done.Bytes += uint64(o.size)
		if g.opts.DryRun {
			continue
		}
		b, err := g.r.bucket(ctx, o.url)
		if err != nil {
			return err
		}
		group.Go(func() error {
			if err := b.open.Remove(working, o.key); err != nil {
				return b.failed(err)
			}
			return nil
		})
	}
	return group.Wait()
}

// revisionOf is that of the intent for which an object was written; 0 if its key does not say it.
func revisionOf(key string) uint64 {
	_, text, _ := strings.Cut(path.Base(path.Dir(key)), "-")
	revision, _ := strconv.ParseUint(text, 10, 64)
	return revision
}
