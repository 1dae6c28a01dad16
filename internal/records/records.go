package records

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"hotswap/internal/engine"
	"hotswap/internal/rollout"
)

// ErrChanged: a record is not as it was read; somebody else has written it.
var ErrChanged = errors.New("changed meanwhile")

// ErrDamaged: a record can't be read, or is kept under the name of another one.
var ErrDamaged = errors.New("damaged")

// Records are those of an engine. It is safe for concurrent use.
type Records struct {
	engine *engine.Engine
	fleet  jetstream.KeyValue
	nodes  jetstream.KeyValue
	has    jetstream.KeyValue
	key    ed25519.PrivateKey // signs orders and pins

	mu    sync.Mutex // guards waves
	waves map[string]namedWaves
}

// Open opens the records of an engine, and makes the buckets if they are not there.
func Open(ctx context.Context, e *engine.Engine) (*Records, error) {
	fleet, err := e.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	nodes, err := e.Nodes(ctx)
	if err != nil {
		return nil, err
	}
	has, err := e.Has(ctx)
	if err != nil {
		return nil, err
	}
	return &Records{engine: e, fleet: fleet, nodes: nodes, has: has, waves: map[string]namedWaves{}}, nil
}

// SignedWith returns the records with a key that signs orders and pins.
func (r *Records) SignedWith(key ed25519.PrivateKey) *Records {
	return &Records{engine: r.engine, fleet: r.fleet, nodes: r.nodes, has: r.has, key: key, waves: map[string]namedWaves{}}
}

// Entry is a record as it was read: its revision, for a compare-and-swap, and when it was
// written, by the engine's clock. The zero Entry is that of a record that is not there.
type Entry struct {
	Revision uint64
	At       time.Time
	// Sealed is an order, or a pin, as it was signed.
	Sealed *Sealed
	// Trusted says that whoever writes over it trusts who has signed it.
	Trusted bool
	// Afresh says that nothing of the order is in the one that is written over it.
	Afresh bool
}

// Order reads a channel's order; nil if there is none.
func (r *Records) Order(ctx context.Context, channel string) (*rollout.Order, Entry, error) {
	s, entry, err := get[Sealed](ctx, r, orderKey(channel))
	if s == nil || err != nil {
		return nil, entry, err
	}
	entry.Sealed = s
	o, err := s.Order(nil, channel)
	return o, entry, err
}

// Progress reads a channel's progress; nil if there is none.
func (r *Records) Progress(ctx context.Context, channel string) (*rollout.Progress, Entry, error) {
	for {
		stored, entry, err := get[storedProgress](ctx, r, progressKey(channel))
		if stored == nil || err != nil {
			return nil, entry, err
		}
		p, err := r.full(ctx, channel, *stored, entry)
		if errors.Is(err, errNoWaves) && ctx.Err() == nil {
			if _, again, _ := get[storedProgress](ctx, r, progressKey(channel)); again.Revision != entry.Revision {
				continue // it has just been followed by another one
			}
		}
		return p, entry, err
	}
}

// Pin reads a node's pin; nil if there is none.
func (r *Records) Pin(ctx context.Context, channel, node string) (*rollout.Pin, Entry, error) {
	s, entry, err := get[Sealed](ctx, r, pinKey(channel, node))
	if s == nil || err != nil {
		return nil, entry, err
	}
	entry.Sealed = s
	p, err := s.Pin(nil, channel, node)
	return p, entry, err
}

// SetOrder writes a channel's order over the one that was read.
func (r *Records) SetOrder(ctx context.Context, o rollout.Order, over Entry) (Entry, error) {
	o.Serial, o.After = over.next(), over.after()
	s, err := seal(r.key, orderKind, o)
	if err != nil {
		return Entry{}, err
	}
	return r.set(ctx, orderKey(o.Channel), s, over)
}

// SetProgress writes a channel's progress over the one that was read.
func (r *Records) SetProgress(ctx context.Context, channel string, p rollout.Progress, over Entry) (Entry, error) {
	stored, err := r.storeWaves(ctx, channel, p)
	if err != nil {
		return Entry{}, err
	}
	return r.set(ctx, progressKey(channel), stored, over)
}

// SetPin writes a node's pin over the one that was read.
func (r *Records) SetPin(ctx context.Context, channel, node string, p rollout.Pin, over Entry) (Entry, error) {
	p.Serial, p.Channel, p.Node = over.next(), channel, node
	s, err := seal(r.key, pinKind, p)
	if err != nil {
		return Entry{}, err
	}
	return r.set(ctx, pinKey(channel, node), s, over)
}

// OrderKey and PinKey name the records that refer to a version: whoever writes one confirms
// the version afterwards (see repository.Repository.Confirm).
func OrderKey(channel string) string     { return orderKey(channel) }
func PinKey(channel, node string) string { return pinKey(channel, node) }

// get reads a record of the bucket that decides, from its leader.
func get[T any](ctx context.Context, r *Records, key string) (*T, Entry, error) {
	entry, err := r.read(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, Entry{}, nil
	}
	if err != nil {
		return nil, Entry{}, r.engine.Explain("read "+key, ended(ctx, err))
	}
	value, err := parse[T](entry)
	return value, Entry{Revision: entry.Revision(), At: entry.Created()}, err
}

// read reads a key of the bucket that decides. A request that is lost with a server is made again:
// whoever works for as long as the program does would wait for its answer as long.
func (r *Records) read(ctx context.Context, key string) (entry jetstream.KeyValueEntry, err error) {
	err = r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		entry, err = r.fleet.Get(ctx, key)
		return err
	})
	return entry, err
}

// once bounds a write, which is not made again: whether one that nobody answers was done is not
// known, and whoever writes reads anew.
func (r *Records) once(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.engine.Patience())
}

func parse[T any](entry jetstream.KeyValueEntry) (*T, error) {
	var value T
	if err := json.Unmarshal(entry.Value(), &value); err != nil {
		return nil, fmt.Errorf("the record %s is %w: %w", entry.Key(), ErrDamaged, err)
	}
	return &value, nil
}

// set writes a record of the bucket that decides, if it is as it was read.
func (r *Records) set(ctx context.Context, key string, value any, over Entry) (Entry, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return Entry{}, err
	}
	ctx, end := r.engine.UntilDenied(ctx)
	defer end()
	ctx, cancel := r.once(ctx)
	defer cancel()
	var revision uint64
	if over.Revision == 0 {
		revision, err = r.fleet.Create(ctx, key, text)
	} else {
		revision, err = r.fleet.Update(ctx, key, text, over.Revision)
	}
	switch {
	case changed(err):
		return Entry{}, fmt.Errorf("%s %w", key, ErrChanged)
	case err != nil:
		return Entry{}, r.engine.ExplainWrite("write "+key, ended(ctx, err))
	}
	sealed, _ := value.(*Sealed)
	return Entry{Revision: revision, Sealed: sealed}, nil
}

func changed(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// ended is the cause of the end of a context, if that is why something failed.
func ended(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	return err
}

// PutNode writes what a node says of itself, until it expires, over what it has written last:
// ErrChanged says that there is something else. Over the zero Entry it is written in any case.
func (r *Records) PutNode(ctx context.Context, n Node, over Entry) (Entry, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return Entry{}, err
	}
	var revision uint64
	if over.Revision == 0 {
		revision, err = r.engine.PutTTL(ctx, r.nodes, nodeKey(n.Node), text, NodeTTL)
	} else {
		revision, err = r.engine.UpdateTTL(ctx, r.nodes, nodeKey(n.Node), text, over.Revision, NodeTTL)
	}
	switch {
	case changed(err):
		return Entry{}, fmt.Errorf("%s %w", nodeKey(n.Node), ErrChanged)
	case err != nil:
		return Entry{}, r.engine.ExplainWrite("write "+nodeKey(n.Node), ended(ctx, err))
	}
	return Entry{Revision: revision}, nil
}

// Node reads what a node says of itself; nil if it does not answer.
func (r *Records) Node(ctx context.Context, node string) (*Node, error) {
	entry, err := r.nodes.Get(ctx, nodeKey(node))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, r.engine.Explain("read "+nodeKey(node), ended(ctx, err))
	}
	return parse[Node](entry)
}

// PutJoined writes that a node has joined.
func (r *Records) PutJoined(ctx context.Context, j Joined) error {
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	_, err = r.engine.PutTTL(ctx, r.nodes, joinedKey(j.Node), text, JoinedTTL)
	return r.engine.ExplainWrite("write "+joinedKey(j.Node), ended(ctx, err))
}

// DeleteNode says that a node has left.
func (r *Records) DeleteNode(ctx context.Context, node string) error {
	return r.engine.Explain("remove "+nodeKey(node), r.nodes.Delete(ctx, nodeKey(node)))
}
