// Package fleetpage is a fleet as the page shows and changes it (sockserver.Fleet), for a
// program that is a node and for `hotswap fleet ui`.
package fleetpage

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"hotswap/internal/fleetview"
	"hotswap/internal/orders"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// rest is the least time between two reads of the engine, however many look.
const rest = 1500 * time.Millisecond

// patience is how long a read may take: a page waits for it.
const patience = 5 * time.Second

// Fleet is one.
type Fleet struct {
	desk orders.Desk
	read func(context.Context) (*records.Everything, error)
	by   string

	mu   sync.Mutex // guards what follows
	at   time.Time
	text []byte
}

// New returns the fleet whose orders are changed at a desk, by whom.
func New(desk orders.Desk, read func(context.Context) (*records.Everything, error), by string) *Fleet {
	return &Fleet{desk: desk, read: read, by: by}
}

// Overview returns what the page shows. Whoever looks again a moment later sees the same.
func (f *Fleet) Overview(ctx context.Context) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.at) < rest {
		return f.text, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	all, err := f.read(ctx)
	if err != nil {
		return nil, err
	}
	if f.text, err = json.Marshal(fleetview.Of(all, "").Overview()); err == nil {
		f.at = time.Now()
	}
	return f.text, err
}

// Halt halts the rollout of a channel.
func (f *Fleet) Halt(ctx context.Context, channel string) error {
	_, err := f.desk.Halt(ctx, channel)
	return f.changed(err)
}

// Rollback has all nodes go back to the version before.
func (f *Fleet) Rollback(ctx context.Context, channel string) error {
	_, err := f.desk.Rollback(ctx, channel, rand.Text()[:12], 0, func(o *rollout.Order) { o.By = f.by })
	return f.changed(err)
}

// changed has the page see the change at once.
func (f *Fleet) changed(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = time.Time{}
	return err
}
