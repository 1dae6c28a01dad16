package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// intentTTL is how long an intent lasts that nobody renews; the engine's clock measures it.
const intentTTL = time.Minute

// ErrIntent: a publisher was silent for so long that its version was given up.
var ErrIntent = errors.New("the publishing was given up")

// intent is the key of a version that is being published. It tells collections to leave
// chunks alone, and becomes the version by one compare-and-swap.
type intent struct {
	r     *Repository
	v     Version
	first uint64 // the revision with which it began
	value []byte
	ttl   time.Duration

	mu       sync.Mutex // guards revision, and that it has one writer
	revision uint64

	stop    func() // stops renewing
	end     func() // and ends the context of who works
	stopped chan struct{}
}

// declare takes the channel's next number, and declares the intent to publish it. The
// context that it returns ends when the intent is lost.
func (r *Repository) declare(ctx context.Context, channel string, opts PublishOptions) (*intent, context.Context, error) {
	value, err := json.Marshal(record{State: Publishing, Who: opts.Who, Host: opts.Host})
	if err != nil {
		return nil, nil, err
	}
	for {
		var number uint64
		err := r.engine.Retry(ctx, func(ctx context.Context) (err error) {
			number, err = r.nextNumber(ctx, channel)
			return err
		})
		if err != nil {
			return nil, nil, r.engine.ExplainWrite("take a number", ended(ctx, err))
		}
		v := Version{channel, number}
		opts.at("declare")
		var revision uint64
		err = r.engine.Retry(ctx, func(ctx context.Context) (err error) {
			revision, err = r.fleet.Create(ctx, v.key(), value, jetstream.KeyTTL(opts.ttl()))
			return err
		})
		if errors.Is(err, jetstream.ErrKeyExists) {
			continue // it is ours, maybe, and we were not told: then it expires
		}
		if err != nil {
			return nil, nil, r.engine.ExplainWrite("declare "+v.String(), ended(ctx, err))
		}
		i := &intent{r: r, v: v, first: revision, revision: revision, value: value, ttl: opts.ttl(), stopped: make(chan struct{})}
		renewing, stop := context.WithCancel(ctx)
		working, lost := context.WithCancelCause(ctx)
		i.stop = func() { stop(); <-i.stopped }
		i.end = func() { i.stop(); lost(nil) }
		if opts.asleep {
			close(i.stopped)
		} else {
			go i.keep(renewing, lost)
		}
		return i, working, nil
	}
}

// nextNumber counts the channel's counter up.
func (r *Repository) nextNumber(ctx context.Context, channel string) (uint64, error) {
	for {
		next, revision := uint64(1), uint64(0)
		entry, err := r.fleet.Get(ctx, nextKey(channel))
		switch {
		case err == nil:
			if next, err = strconv.ParseUint(string(entry.Value()), 10, 64); err != nil {
				return 0, fmt.Errorf("the counter %s is damaged: %w", nextKey(channel), err)
			}
			revision = entry.Revision()
		case !errors.Is(err, jetstream.ErrKeyNotFound):
			return 0, err
		default: // a new channel; or the counter was lost
			entries, err := r.engine.ReadUpTo(ctx, r.fleet, 0, versionKeys(channel)+"*")
			if err != nil {
				return 0, err
			}
			for key := range entries {
				if v, ok := ofKey(key); ok {
					next = max(next, v.Number+1)
				}
			}
		}
		value := []byte(strconv.FormatUint(next+1, 10))
		if revision == 0 {
			_, err = r.fleet.Create(ctx, nextKey(channel), value)
		} else {
			_, err = r.fleet.Update(ctx, nextKey(channel), value, revision)
		}
		switch {
		case err == nil:
			return next, nil
		case !errors.Is(err, jetstream.ErrKeyExists) && !errors.Is(err, jetstream.ErrKeyRevisionMismatch):
			return 0, err
		}
	}
}

// keep renews the intent until ctx ends, and calls lost if it can't.
func (i *intent) keep(ctx context.Context, lost context.CancelCauseFunc) {
	defer close(i.stopped)
	tick := time.NewTicker(i.ttl / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := i.renew(ctx)
		if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			lost(i.lost())
			return
		}
		// Anything else may pass: the engine says in the end whether it was too late.
	}
}

func (i *intent) renew(ctx context.Context) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, i.ttl/4)
	defer cancel()
	revision, err := i.r.engine.UpdateTTL(ctx, i.r.fleet, i.v.key(), i.value, i.revision, i.ttl)
	if err == nil {
		i.revision = revision
		return nil
	}
	if !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return err
	}
	// Maybe our own renewal, of which we missed the answer.
	if again, ours := i.ours(ctx, i.value); ours {
		i.revision = again
		return nil
	}
	return err
}

// ours reads the key, and reports whether it has a value that only this intent writes.
func (i *intent) ours(ctx context.Context, value []byte) (revision uint64, ours bool) {
	entry, err := i.r.fleet.Get(ctx, i.v.key())
	if err != nil || string(entry.Value()) != string(value) {
		return 0, false
	}
	return entry.Revision(), true
}

func (i *intent) lost() error {
	return fmt.Errorf("publish %s: %w: for %v the engine heard nothing of it; nothing of it is to be seen, publish again", i.v, ErrIntent, i.ttl)
}

// commit makes the intent the version. It is the one step that matters: before it nothing
// is to be seen of the version, and behind it all is.
func (i *intent) commit(ctx context.Context, rec record) (revision uint64, err error) {
	i.stop()
	i.mu.Lock()
	defer i.mu.Unlock()
	value, err := json.Marshal(rec)
	if err != nil {
		return 0, err
	}
	err = i.r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		if revision, err = i.r.fleet.Update(ctx, i.v.key(), value, i.revision); err == nil {
			return nil
		}
		// What was not answered may have been done: this, or the last renewal.
		if again, ours := i.ours(ctx, value); ours {
			revision = again
			return nil
		}
		if again, ours := i.ours(ctx, i.value); ours && again != i.revision {
			i.revision = again
			revision, err = i.r.fleet.Update(ctx, i.v.key(), value, i.revision)
		}
		return err
	})
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return 0, i.lost()
	}
	return revision, i.r.engine.ExplainWrite("publish "+i.v.String(), ended(ctx, err))
}

// withdraw removes the intent of a publishing that has failed. If it can't, the intent
// expires.
func (i *intent) withdraw(ctx context.Context) {
	i.stop()
	i.mu.Lock()
	defer i.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawPatience)
	defer cancel()
	i.r.fleet.Delete(ctx, i.v.key(), jetstream.LastRevision(i.revision))
}

const withdrawPatience = 2 * time.Second
