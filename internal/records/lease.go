package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Lease says who controls.
type Lease struct {
	Node     string `json:"node"`
	Instance string `json:"instance"`
	// Nodes is how many nodes answer.
	Nodes int `json:"nodes,omitempty"`
}

// leaseOf reads a lease. One that is damaged is somebody's: it is there, and keeps others from
// having it.
func leaseOf(entry jetstream.KeyValueEntry) *Lease {
	l, err := parse[Lease](entry)
	if err != nil {
		return &Lease{}
	}
	return l
}

// Lease reads who controls; nil if nobody does.
func (r *Records) Lease(ctx context.Context) (*Lease, Entry, error) {
	entry, err := r.read(ctx, leaseKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, Entry{}, nil
	}
	if err != nil {
		return nil, Entry{}, r.engine.Explain("read the lease", ended(ctx, err))
	}
	return leaseOf(entry), Entry{Revision: entry.Revision(), At: entry.Created()}, nil
}

// TakeLease makes a node the controller, unless another is (ErrChanged).
func (r *Records) TakeLease(ctx context.Context, l Lease) (Entry, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return Entry{}, err
	}
	revision, err := r.fleet.Create(ctx, leaseKey, text, jetstream.KeyTTL(LeaseTTL))
	return r.leased(revision, err)
}

// RenewLease writes it over the one that was read, unless that was changed (ErrChanged): for the
// next time, or because whoever has it does not renew it.
func (r *Records) RenewLease(ctx context.Context, l Lease, over Entry) (Entry, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return Entry{}, err
	}
	revision, err := r.engine.UpdateTTL(ctx, r.fleet, leaseKey, text, over.Revision, LeaseTTL)
	return r.leased(revision, err)
}

func (r *Records) leased(revision uint64, err error) (Entry, error) {
	switch {
	case changed(err):
		return Entry{}, fmt.Errorf("the lease %w", ErrChanged)
	case err != nil:
		return Entry{}, r.engine.ExplainWrite("take the lease", err)
	}
	return Entry{Revision: revision}, nil
}

// EndLease gives it back, so that nobody has to wait until it has expired.
func (r *Records) EndLease(ctx context.Context, held Entry) error {
	return r.fleet.Delete(ctx, leaseKey, jetstream.LastRevision(held.Revision))
}
