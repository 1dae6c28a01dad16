package repository

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"hotswap/internal/engine"
)

// GCOptions are the settings of GC.
type GCOptions struct {
	// Keep is how many versions of each channel stay, at least 1: the newest. What an order, a
	// rollout or a pin names stays, too.
	Keep int
	// Channel is the only one of which versions are removed, "" for all.
	Channel string
	// DryRun removes nothing.
	DryRun bool

	// Of tests: what is called before each step, and when an intent is removed that the engine
	// does not (0 means three times intentTTL).
	step    func(string)
	overdue time.Duration
}

// Collected is what GC has done.
type Collected struct {
	// Retired are the versions that were removed.
	Retired []Version `json:"retired"`
	// Staying are those that are left, with why.
	Staying []Staying `json:"staying"`
	// Chunks and Bytes are of the chunks that were removed, Kept how many are left.
	Chunks int    `json:"chunks"`
	Bytes  uint64 `json:"bytes"`
	Kept   int    `json:"kept"`
	// Publishing are the versions that are being published: because of them no chunk was
	// removed, this time.
	Publishing []string `json:"publishing,omitempty"`
}

// markKey is put by a collection, to know when it has read all that was before.
const markKey = "gc"

// GC removes versions that nobody needs, and the chunks that no version names. It may run
// beside anything, another GC too, and may be killed at any moment; see the package's
// comment for why it never removes a chunk of a version.
func (r *Repository) GC(ctx context.Context, opts GCOptions) (done Collected, err error) {
	if opts.Keep < 1 {
		return done, errors.New("keep at least one version of each channel")
	}
	if opts.Channel != "" {
		if err := engine.CheckName("channel", opts.Channel); err != nil {
			return done, err
		}
	}
	g := &collection{r: r, opts: opts, chosen: map[Version]bool{}}
	if err := g.run(ctx); err != nil {
		g.takeBack(ctx)
		return g.done, fmt.Errorf("gc: %w", ended(ctx, err))
	}
	return g.done, nil
}

type collection struct {
	r       *Repository
	opts    GCOptions
	done    Collected
	chosen  map[Version]bool // what is to be removed
	retired []versionEntry   // what this collection has marked, as it has left it
	objects []object         // that there were before the mark
	began   uint64           // the revision of its first mark
}

func (g *collection) at(step string) {
	if g.opts.step != nil {
		g.opts.step(step)
	}
}

func (g *collection) run(ctx context.Context) error {
	entries, err := g.r.engine.ReadUpTo(ctx, g.r.fleet, 0, ">")
	if err != nil {
		return err
	}
	if c := g.opts.Channel; c != "" && len(versionsIn(entries)[c]) == 0 {
		return fmt.Errorf("the channel %s has no versions", c)
	}
	// Whoever may not do this has marked no version then.
	if g.began, err = g.mark(ctx); err != nil {
		return err
	}
	if err := g.retire(ctx, entries); err != nil {
		return err
	}
	g.at("retired")
	last, err := g.lastSequence(ctx)
	if err != nil {
		return err
	}
	if err := g.listObjects(ctx, entries); err != nil {
		return err
	}
	g.at("noted")
	mark, err := g.mark(ctx)
	if err != nil {
		return err
	}
	if !g.opts.DryRun {
		if entries, err = g.r.engine.ReadUpTo(ctx, g.r.fleet, mark, ">"); err != nil {
			return err
		}
	}
	g.at("read")
	versions, err := g.remove(ctx, entries)
	if err != nil || len(g.done.Publishing) > 0 {
		return err
	}
	named, err := g.named(ctx, versions)
	if err != nil {
		return err
	}
	g.at("decided")
	if err := g.sweep(ctx, named.chunks, last); err != nil {
		return err
	}
	return g.sweepObjects(ctx, named.objects)
}

// retire marks what nobody needs. What a collection has marked that was killed is a version
// like any other. Versions that can't be read are left alone, and keep chunks from being
// removed.
func (g *collection) retire(ctx context.Context, entries engine.Entries) error {
	needed, err := references(entries)
	if err != nil {
		return err
	}
	for channel, all := range versionsIn(entries) {
		if g.opts.Channel != "" && channel != g.opts.Channel {
			continue
		}
		var there []versionEntry
		for _, e := range all {
			if e.record.State == IsPublished || e.record.State == Retiring {
				there = append(there, e)
			}
		}
		for i, e := range there {
			state := IsPublished
			if i < len(there)-g.opts.Keep && len(needed[e.version]) == 0 {
				g.chosen[e.version], state = true, Retiring
			}
			if g.opts.DryRun || e.record.State == state {
				continue
			}
			revision, ok, err := g.r.swapState(ctx, e, state)
			if err != nil {
				return err
			}
			if ok && state == Retiring {
				g.retired = append(g.retired, versionEntry{e.version, e.record, revision, e.at})
			}
		}
	}
	return nil
}

// takeBack publishes again what a collection has marked that has failed since, or was
// interrupted.
func (g *collection) takeBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawPatience)
	defer cancel()
	for _, e := range g.retired {
		if _, _, err := g.r.swapState(ctx, e, IsPublished); err != nil {
			return // whoever orders the version takes the mark back
		}
	}
}

// lastSequence is that of the chunk that was written last.
func (g *collection) lastSequence(ctx context.Context) (uint64, error) {
	var info *jetstream.StreamInfo
	err := g.r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		info, err = g.r.stream.Info(ctx)
		return err
	})
	if err != nil {
		return 0, g.r.engine.Explain("look at the chunks", err)
	}
	return info.State.LastSeq, nil
}

// mark writes into the bucket; a dry run takes the revision that this would have.
func (g *collection) mark(ctx context.Context) (revision uint64, err error) {
	if g.opts.DryRun {
		info, err := g.r.bucketInfo(ctx)
		if err != nil {
			return 0, err
		}
		return info.State.LastSeq + 1, nil
	}
	err = g.r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		revision, err = g.r.engine.PutTTL(ctx, g.r.fleet, markKey, []byte(time.Now().UTC().Format(time.RFC3339)), time.Hour)
		return err
	})
	return revision, g.r.engine.ExplainWrite("mark the bucket", err)
}

// remove removes what was chosen, is still retiring and not needed, and returns the versions
// that there are.
func (g *collection) remove(ctx context.Context, entries engine.Entries) (left []versionEntry, err error) {
	needed, err := references(entries)
	if err != nil {
		return nil, err
	}
	gone := map[Version]bool{}
	for _, all := range versionsIn(entries) {
		for _, e := range all {
			switch {
			case e.record.State == Publishing:
				if removed, err := g.expire(ctx, e); err != nil {
					return nil, err
				} else if removed {
					continue
				}
				g.done.Publishing = append(g.done.Publishing, fmt.Sprintf("%s by %s", e.version, e.record.by()))
				continue
			case !g.chosen[e.version]:
			case e.record.State == Retiring && len(needed[e.version]) > 0:
				if _, _, err := g.r.swapState(ctx, e, IsPublished); err != nil {
					return nil, err
				}
			case e.record.State == Retiring || g.opts.DryRun:
				ours, err := g.delete(ctx, e)
				if err != nil {
					return nil, err
				}
				if ours {
					g.done.Retired = append(g.done.Retired, e.version)
					gone[e.version] = true
				}
			}
			if !gone[e.version] {
				left = append(left, e)
			}
		}
	}
	slices.SortFunc(g.done.Retired, Version.compare)
	g.done.Staying = g.staying(left, needed)
	return left, nil
}

// expire removes an intent that should have expired long ago, but for an engine whose clock was set
// back, or that was restored. Its publisher finds that as if it had.
func (g *collection) expire(ctx context.Context, e versionEntry) (bool, error) {
	now, err := g.r.engine.Now(ctx, g.r.fleet)
	if err != nil || now.Sub(e.at).Abs() < cmp.Or(g.opts.overdue, 3*intentTTL) {
		return false, err
	}
	return g.delete(ctx, e)
}

// delete removes a version's key; it is false if somebody else has changed it: published
// it again, say.
func (g *collection) delete(ctx context.Context, e versionEntry) (bool, error) {
	if g.opts.DryRun {
		return true, nil
	}
	err := g.r.engine.Retry(ctx, func(ctx context.Context) error {
		return g.r.fleet.Delete(ctx, e.version.key(), jetstream.LastRevision(e.revision))
	})
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return false, nil
	}
	return err == nil, g.r.engine.Explain("remove "+e.version.String(), err)
}
