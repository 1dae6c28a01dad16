package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// markerTTL is how long the engine keeps the note that a key has expired; without one no
// key has a TTL of its own. That of a node says since when it is silent.
const (
	markerTTL     = 10 * time.Minute
	nodeMarkerTTL = 7 * 24 * time.Hour
)

// mostWatches is how many may watch a stream at a time: each node watches one bucket, and the
// engine allows a thousand unless it is told.
const mostWatches = 1_000_000

func chunkStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              ChunkStream,
		Description:       "the bytes of published databases, by digest",
		Subjects:          []string{ChunkSubjects},
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardNew,
		MaxMsgsPerSubject: 1,
		AllowDirect:       true,
		// A chunk that is published again replaces itself; nothing carries an id.
		Duplicates: time.Second,
	}
}

// bucketStream is the stream of a key-value bucket, as nats.go would make it, but for the
// direct reads of the bucket that decides.
func bucketStream(bucket string) jetstream.StreamConfig {
	expired := markerTTL
	if bucket == NodesBucket {
		expired = nodeMarkerTTL
	}
	return jetstream.StreamConfig{
		Name:                   "KV_" + bucket,
		Subjects:               []string{"$KV." + bucket + ".>"},
		Storage:                jetstream.FileStorage,
		Discard:                jetstream.DiscardNew,
		MaxMsgsPerSubject:      1,
		MaxConsumers:           mostWatches,
		AllowDirect:            bucket != FleetBucket,
		AllowRollup:            true,
		DenyDelete:             true,
		AllowMsgTTL:            true,
		SubjectDeleteMarkerTTL: expired,
		Duplicates:             2 * time.Minute,
	}
}

// gathering is how long the servers of a cluster have to find one another: a stream that is
// made before is kept once, and stays so.
const gathering = 5 * time.Second

// errGathering: not all are there yet, perhaps.
var errGathering = errors.New("the cluster has less than three servers")

// makeStream makes a stream with as many replicas as there should be. Another one may make
// it at the same time. e.mu is held.
func (e *Engine) makeStream(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	config.Replicas = e.config.Replicas
	guess := config.Replicas == 0
	if guess {
		config.Replicas = 1
		if e.conn.ConnectedClusterName() != "" {
			config.Replicas = 3
		}
	}
	stream, err := e.js.CreateStream(ctx, lax(config))
	if guess && config.Replicas > 1 && tooFewServers(err) {
		if e.began.IsZero() {
			e.began = time.Now()
		}
		if time.Since(e.began) < gathering {
			return nil, errGathering
		}
		config.Replicas = 1
		stream, err = e.js.CreateStream(ctx, lax(config))
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // with other settings: they are the operator's
		return e.js.Stream(ctx, config.Name)
	}
	return stream, err
}

// lax spares the disk what nodes say of themselves: each says it again after three seconds,
// and otherwise the disk would have to sync that often for each. In memory alone a stream of
// one server would be gone with it.
func lax(config jetstream.StreamConfig) jetstream.StreamConfig {
	switch {
	case config.Name != "KV_"+NodesBucket:
	case config.Replicas > 1:
		config.Storage = jetstream.MemoryStorage
	default:
		config.PersistMode = jetstream.AsyncPersistMode
	}
	return config
}

// The codes of errors of JetStream's that nats.go has no names for.
const (
	codeNoPeers           = 10005
	codeNoLeader          = 10008
	codeNotAvailable      = 10009
	codeNotEnabledAccount = 10039
	codeNotFound          = 10037
	codeResources         = 10023
	codeStorage           = 10047
	codeNoReplicas        = 10074
	codeNoTTL             = 10166
)

func code(err error) jetstream.ErrorCode {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.ErrorCode
	}
	return 0
}

func tooFewServers(err error) bool {
	return code(err) == codeNoPeers || code(err) == codeNoReplicas
}

// Entries is what a bucket has, by key.
type Entries map[string]jetstream.KeyValueEntry

// ReadUpTo reads the keys of a bucket that match, with everything that was written before
// the revision, which is of a write to one of them. It waits until that write has come by:
// a server that is behind has it later than others.
//
// A revision of 0 means whatever the leader knows as the last one. That is as fresh as
// listings need to be; it decides nothing.
func (e *Engine) ReadUpTo(ctx context.Context, kv jetstream.KeyValue, revision uint64, keys ...string) (Entries, error) {
	all, err := e.ReadWithGone(ctx, kv, revision, keys...)
	maps.DeleteFunc(all, func(_ string, entry jetstream.KeyValueEntry) bool { return entry.Operation() != jetstream.KeyValuePut })
	return all, err
}

// ReadWithGone is ReadUpTo with the keys that are gone, too, as far as the engine still knows of
// them: KeyValueDelete is the operation of one that was removed, KeyValuePurge of one that has expired.
func (e *Engine) ReadWithGone(ctx context.Context, kv jetstream.KeyValue, revision uint64, keys ...string) (all Entries, err error) {
	err = e.Retry(ctx, func(ctx context.Context) (err error) {
		upTo := revision
		if upTo == 0 {
			if upTo, err = e.lastOf(ctx, kv, keys); err != nil {
				return err
			}
		}
		if all, err = readUpTo(ctx, kv, upTo, slices.Clone(keys)); err != nil { // which it changes
			return err
		}
		return e.addMissed(ctx, kv, keys, all)
	})
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return nil, context.Cause(ctx)
	}
	return all, e.Explain("read the bucket "+kv.Bucket(), err)
}

// lastOf is the revision that was written last to a key that matches.
func (e *Engine) lastOf(ctx context.Context, kv jetstream.KeyValue, keys []string) (last uint64, err error) {
	for _, key := range keys {
		_, sequence, err := e.FromLeader(ctx, "KV_"+kv.Bucket(), "$KV."+kv.Bucket()+"."+key)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return 0, err
		}
		last = max(last, sequence)
	}
	return last, nil
}

// readUpTo reads what a watch tells.
func readUpTo(ctx context.Context, kv jetstream.KeyValue, revision uint64, keys []string) (Entries, error) {
	watch, err := kv.WatchFiltered(ctx, keys)
	if err != nil {
		return nil, err
	}
	defer StopWatch(watch)
	all, seen := Entries{}, uint64(0)
	for initial := false; !initial || seen < revision; {
		select {
		case entry, ok := <-watch.Updates():
			switch {
			case !ok && ctx.Err() == nil:
				return nil, nats.ErrConnectionClosed
			case !ok:
				return nil, ctx.Err()
			case entry == nil:
				initial = true
				continue
			}
			all[entry.Key()] = entry
			seen = max(seen, entry.Revision())
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: revision %d has not come", ctx.Err(), revision)
		}
	}
	return all, nil
}

// addMissed reads the keys that a watch has not told: one that is written while the others
// are told comes later, and may be written again before it has come.
func (e *Engine) addMissed(ctx context.Context, kv jetstream.KeyValue, keys []string, all Entries) error {
	stream, err := e.js.Stream(ctx, "KV_"+kv.Bucket())
	if err != nil {
		return err
	}
	prefix := "$KV." + kv.Bucket() + "."
	for _, key := range keys {
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(prefix+key))
		if err != nil {
			return err
		}
		for subject := range info.State.Subjects {
			key := strings.TrimPrefix(subject, prefix)
			if _, known := all[key]; known {
				continue
			}
			entry, err := kv.Get(ctx, key)
			if err != nil && !errors.Is(err, jetstream.ErrKeyNotFound) {
				return err
			}
			if err == nil {
				all[key] = entry
			}
		}
	}
	return nil
}

// UpdateTTL is an Update of a key that has a TTL, and goes on having one. (That of
// jetstream.KeyValue would make the key last for ever.)
func (e *Engine) UpdateTTL(ctx context.Context, kv jetstream.KeyValue, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	ack, err := e.js.Publish(ctx, "$KV."+kv.Bucket()+"."+key, value,
		jetstream.WithExpectLastSequencePerSubject(revision), jetstream.WithMsgTTL(ttl))
	if err != nil {
		if errors.Is(err, jetstream.ErrKeyExists) || code(err) == codeWrongSequence || code(err) == codeWrongSequenceConstant {
			err = fmt.Errorf("%w: %w", jetstream.ErrKeyRevisionMismatch, err)
		}
		return 0, err
	}
	return ack.Sequence, nil
}

const (
	codeWrongSequence         = 10071
	codeWrongSequenceConstant = 10164
)

// PutTTL is a Put of a key with a TTL.
func (e *Engine) PutTTL(ctx context.Context, kv jetstream.KeyValue, key string, value []byte, ttl time.Duration) (uint64, error) {
	ack, err := e.js.Publish(ctx, "$KV."+kv.Bucket()+"."+key, value, jetstream.WithMsgTTL(ttl))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}
