package driver

import (
	"context"
	"slices"
	"time"

	"hotswap/internal/peers"
)

// A freeze of writes only (inside.FreezeOptions.WritesOnly) closes no connection but those with a
// shared cache. It has one attempt: writes wait at the gate until the thaw.

// concerns reports whether the connection is to be drained.
func (dr *drain) concerns(c *conn) bool { return !dr.shared || c.dsn.Shared }

// closeShared drains and closes the connections with a shared cache.
func (dr *drain) closeShared(ctx context.Context) error {
	dr.shared = true
	defer func() { dr.shared = false }()
	if !dr.anyConcerned() {
		return nil
	}
	others := dr.frozen.others // each of which does this for itself
	dr.frozen.others = nil
	err := dr.run(ctx)
	dr.frozen.others = others
	if err != nil {
		return err
	}
	dr.frozen.Connections = dr.killed + dr.closeAll(0)
	return nil
}

func (dr *drain) anyConcerned() bool {
	dr.d.mu.Lock()
	defer dr.d.mu.Unlock()
	for c := range dr.d.conns {
		if dr.concerns(c) {
			return true
		}
	}
	return false
}

// writers makes new writes wait, and waits up to MaxPause until no transaction is open;
// in the processes of the peers, too.
func (dr *drain) writers(ctx context.Context) error {
	dr.frozen.writesOnly = true
	dr.frozen.Attempts = max(dr.frozen.Attempts, 1)
	if dr.frozen.Connections == 0 {
		dr.frozen.closedAt = time.Now()
	}
	began, most := time.Now(), min(dr.opts.MaxPause, dr.opts.Timeout)
	dr.frozen.others.ask(peers.Message{Op: peers.Hush, For: most})
	dr.d.filterGate(&filter{writes: true, shared: dr.opts.swap.CloseShared})
	dr.opts.swap.WritesWait()
	if err := dr.awaitTransactions(ctx, most); err != nil {
		return err
	}
	theirs, err := dr.frozen.others.hush(ctx, most-time.Since(began))
	dr.frozen.Holders = append(dr.frozen.Holders, theirs...)
	return err
}

// awaitTransactions leaves those in Holders that have not ended.
func (dr *drain) awaitTransactions(ctx context.Context, most time.Duration) error {
	end := time.NewTimer(most)
	defer end.Stop()
	for {
		dr.frozen.Holders = dr.transactions()
		if len(dr.frozen.Holders) == 0 {
			return nil
		}
		select {
		case <-dr.d.drainage:
		case <-end.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// transactions describes those that are open, and the running calls that may be part of
// one, or begin one. What a function in Raw does is unknown; most often it takes a
// snapshot, which is long and only reads.
func (dr *drain) transactions() []Holder {
	dr.d.mu.Lock()
	defer dr.d.mu.Unlock()
	all := dr.d.holdersLocked(func(_ *conn, w word) bool { return !w.drained() })
	return slices.DeleteFunc(all, func(h Holder) bool {
		return !h.tx && (h.Kind != HoldCall || h.Query == rawCall || readsOnly(h.Query))
	})
}
