package records

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"hotswap/internal/engine"
	"hotswap/internal/rollout"
)

// Change is one record that has changed, or that was there when the watch began; the one of
// its fields that is set says which. Of one that is gone, Gone is set, too, and Expired if nobody
// has removed it.
type Change struct {
	Entry
	Gone     bool
	Expired  bool
	Channel  string // of Order, Progress and Pin
	Node     string // of Pin and NodeRecord
	Order    *rollout.Order
	Progress *rollout.Progress
	Pin      *rollout.Pin
	Lease    *Lease
	Record   *Node
	Joined   *Joined
	Kind     Kind
}

// Kind is which record a change is of.
type Kind int

const (
	// Caught says that everything that was there has been told.
	Caught Kind = iota
	AnOrder
	AProgress
	APin
	TheLease
	ANode
	AJoining
)

// errWatchEnded: the connection is lost, or the engine has ended the watch.
var errWatchEnded = errors.New("the watch has ended")

// WatchChannels tells what changes of the orders, the progress and the pins of a node, until
// the watch fails or ctx ends. No channels means all of them, and then the lease, too; no node
// means none.
func (r *Records) WatchChannels(ctx context.Context, channels []string, node string, tell func(Change)) error {
	var keys []string
	if channels == nil {
		keys = []string{leaseKey, orders + "*", progresses + "*"}
	}
	for _, channel := range channels {
		keys = append(keys, orderKey(channel), progressKey(channel))
		if node != "" {
			keys = append(keys, pinKey(channel, node))
		}
	}
	return r.watch(ctx, r.fleet, keys, tell)
}

// WatchNodes tells what changes of what nodes say of themselves.
func (r *Records) WatchNodes(ctx context.Context, tell func(Change)) error {
	return r.watch(ctx, r.nodes, []string{nodes + "*"}, tell)
}

func (r *Records) watch(ctx context.Context, kv jetstream.KeyValue, keys []string, tell func(Change)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	unanswered := time.AfterFunc(r.engine.Patience(), func() { cancel(context.DeadlineExceeded) })
	w, err := kv.WatchFiltered(ctx, keys)
	unanswered.Stop()
	if err != nil {
		return r.engine.Explain("watch the bucket "+kv.Bucket(), ended(ctx, err))
	}
	defer engine.StopWatch(w)
	for {
		select {
		case entry, ok := <-w.Updates():
			if !ok {
				return r.engine.Explain("watch the bucket "+kv.Bucket(), errWatchEnded)
			}
			change, known, err := r.changeOf(ctx, entry)
			if err != nil {
				return err
			}
			if known {
				tell(change)
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// changeOf reads an entry. One that is damaged is left out, as if it were not there. It fails
// if the engine does not tell the waves of a progress.
func (r *Records) changeOf(ctx context.Context, entry jetstream.KeyValueEntry) (c Change, known bool, failed error) {
	if entry == nil {
		return c, true, nil
	}
	c.Entry = Entry{Revision: entry.Revision(), At: entry.Created()}
	c.Gone = entry.Operation() != jetstream.KeyValuePut
	c.Expired = entry.Operation() == jetstream.KeyValuePurge
	key := entry.Key()
	read := func(kind Kind, value func() error) (Change, bool, error) {
		c.Kind = kind
		if !c.Gone && value() != nil {
			return c, false, failed
		}
		return c, true, nil
	}
	var err error
	if channel, is := channelOf(key, orders); is {
		c.Channel = channel
		return read(AnOrder, func() error {
			if c.Sealed, err = parse[Sealed](entry); err == nil {
				c.Order, err = c.Sealed.Order(nil, channel)
			}
			return err
		})
	}
	if channel, is := channelOf(key, progresses); is {
		c.Channel = channel
		return read(AProgress, func() error {
			stored, err := parse[storedProgress](entry)
			if err != nil {
				return err
			}
			if c.Progress, err = r.full(ctx, channel, *stored, c.Entry); err != nil && !errors.Is(err, errNoWaves) {
				failed = err
			}
			return err
		})
	}
	if rest, is := strings.CutPrefix(key, pins); is {
		c.Channel, c.Node, _ = strings.Cut(rest, ".")
		return read(APin, func() error {
			if c.Sealed, err = parse[Sealed](entry); err == nil {
				c.Pin, err = c.Sealed.Pin(nil, c.Channel, c.Node)
			}
			return err
		})
	}
	if name, is := strings.CutPrefix(key, nodes); is {
		c.Node = name
		return read(ANode, func() error {
			if c.Record, err = parse[Node](entry); err == nil {
				c.Record.At = c.At
			}
			return err
		})
	}
	if name, is := strings.CutPrefix(key, joined); is {
		c.Node = name
		return read(AJoining, func() error { c.Joined, err = parse[Joined](entry); return err })
	}
	if key == leaseKey {
		return read(TheLease, func() error { c.Lease = leaseOf(entry); return nil })
	}
	return c, false, nil
}

// Everything is what there is, as `hotswap fleet status` shows it.
type Everything struct {
	Orders   map[string]rollout.Order
	Progress map[string]rollout.Progress
	Pins     map[string]map[string]rollout.Pin // by channel and node
	Nodes    map[string]Node
	Left     map[string]Left   // how nodes that don't answer have gone, as far as it is known
	Joined   map[string]Joined // who has been there within the last week
	Lease    *Lease
	// LeaseAt is when the lease was written last, by the engine's clock, and LeaseAge how long ago
	// that is, or will be: that clock may have been set back.
	LeaseAt  time.Time
	LeaseAge time.Duration
	// Ahead is how far the engine's clock is ahead of that of whoever has read this.
	Ahead time.Duration
}

// Read reads everything.
func (r *Records) Read(ctx context.Context) (*Everything, error) {
	all := &Everything{Orders: map[string]rollout.Order{}, Progress: map[string]rollout.Progress{},
		Pins: map[string]map[string]rollout.Pin{}, Nodes: map[string]Node{}, Left: map[string]Left{}, Joined: map[string]Joined{}}
	for bucket, keys := range map[jetstream.KeyValue][]string{
		r.fleet: {leaseKey, orders + "*", progresses + "*", pins + "*.*"},
		r.nodes: {nodes + "*", joined + "*"},
	} {
		entries, err := r.engine.ReadWithGone(ctx, bucket, 0, keys...)
		if err != nil {
			return nil, err
		}
		now, err := r.engine.Now(ctx, bucket)
		if err != nil {
			return nil, err
		}
		if bucket == r.nodes { // with whose clock those of the nodes are compared
			all.Ahead = time.Until(now)
		}
		for _, entry := range entries {
			change, ok, err := r.changeOf(ctx, entry)
			if err != nil {
				return nil, err
			}
			if ok {
				all.add(change, now)
			}
		}
	}
	return all, nil
}

// Known lists the nodes that are there, or were within the last week, for people to choose from:
// it makes nothing on an engine that has none.
func Known(ctx context.Context, e *engine.Engine) (list []Joined, err error) {
	kv, err := e.JetStream().KeyValue(ctx, engine.NodesBucket)
	if err != nil {
		return nil, e.Explain("list the nodes", err)
	}
	entries, err := e.ReadUpTo(ctx, kv, 0, joined+"*")
	for _, entry := range entries {
		if j, err := parse[Joined](entry); err == nil {
			list = append(list, *j)
		}
	}
	return list, err
}

// add adds a record that was read when it was that time by the engine's clock.
func (e *Everything) add(c Change, now time.Time) {
	if c.Gone {
		if c.Kind == ANode {
			e.Left[c.Node] = Left{Ended: !c.Expired, At: c.At}
		}
		return
	}
	switch c.Kind {
	case AnOrder:
		e.Orders[c.Channel] = *c.Order
	case AProgress:
		e.Progress[c.Channel] = *c.Progress
	case APin:
		if e.Pins[c.Channel] == nil {
			e.Pins[c.Channel] = map[string]rollout.Pin{}
		}
		e.Pins[c.Channel][c.Node] = *c.Pin
	case ANode:
		if Expired(c.At, now) {
			e.Left[c.Node] = Left{At: c.At.Add(NodeTTL)}
		} else {
			e.Nodes[c.Node] = *c.Record
		}
	case AJoining:
		e.Joined[c.Node] = *c.Joined
	case TheLease:
		e.Lease, e.LeaseAt, e.LeaseAge = c.Lease, c.At, now.Sub(c.At).Abs()
	}
}
