package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"hotswap/internal/rollout"
)

// hooks are the program's functions that are running for a database: Validate and Health.
type hooks struct {
	mu      sync.Mutex // guards running
	running map[string]*call
	long    func() // one has run for hookLong, or has returned after that
}

// call is one of them at work.
type call struct {
	hook    string
	version Version
	since   time.Time
	ended   chan struct{}
	err     error // once it has ended
}

const (
	// hookLong is how long a hook runs before that is said.
	hookLong = time.Second
	// hookPatience is how long Close waits for hooks, whose context has ended.
	hookPatience = 5 * time.Second
)

// errLate: a hook was left because its time, or what it was called for, was over. errHung: it is
// at work when the node has ended.
var (
	errLate = errors.New("has not answered in time")
	errHung = errors.New("has not returned")
)

// call calls a hook, and returns what it does, or when ctx ends. A hook that has not returned by
// then is left, and is not called again before it has: there would be more and more of them.
func (h *hooks) call(ctx context.Context, hook string, v Version, fn func(context.Context) error) error {
	for {
		now, ours := h.begin(ctx, hook, v, fn)
		select {
		case <-now.ended:
			if !ours {
				continue
			}
			if now.err == nil || ctx.Err() == nil { // else it says that its context has ended
				return now.err
			}
		case <-ctx.Done():
		}
		return fmt.Errorf("%s %w: it was called for %s at %s", hook, errLate, now.version, now.since.Format(time.DateTime))
	}
}

// awake is a context that ends when the process has run for so long. While it is stopped, or its
// machine is suspended, a hook can't answer, and hardly any of that counts.
func awake(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		for ctx.Err() == nil && patience > 0 {
			step := min(patience, max(patience/16, time.Millisecond), time.Second)
			began := time.Now()
			sleep(ctx, step)
			patience -= min(time.Since(began), 2*step)
		}
	}()
	return ctx, cancel
}

// begin calls a hook, unless it is running.
func (h *hooks) begin(ctx context.Context, hook string, v Version, fn func(context.Context) error) (now *call, ours bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.running[hook]; now != nil {
		return now, false
	}
	now = &call{hook: hook, version: v, since: time.Now(), ended: make(chan struct{}), err: errors.New("it ended its goroutine (runtime.Goexit)")}
	h.running[hook] = now
	said := time.AfterFunc(hookLong, h.long)
	go func() {
		defer func() {
			h.mu.Lock()
			delete(h.running, hook)
			h.mu.Unlock()
			close(now.ended)
			if !said.Stop() {
				h.long()
			}
		}()
		now.err = fn(ctx)
	}()
	return now, true
}

// oldest is the hook that has been running for longest; nil if none is.
func (h *hooks) oldest() (oldest *call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.running {
		if oldest == nil || c.since.Before(oldest.since) {
			oldest = c
		}
	}
	return oldest
}

// hook is the program's function that has been running for longest for the database, OnSwap
// callbacks of the driver's among them; nil if none has been for long.
func (d *database) hook() *rollout.Hook {
	var now *rollout.Hook
	if c := d.hooks.oldest(); c != nil {
		now = &rollout.Hook{Name: c.hook, Since: c.since}
	}
	if d.db != nil {
		if runs := d.db.Stats().OnSwap; runs > 0 && (now == nil || runs > time.Since(now.Since)) {
			now = &rollout.Hook{Name: "OnSwap", Since: time.Now().Add(-runs)}
		}
	}
	if now == nil || time.Since(now.Since) < hookLong {
		return nil
	}
	return now
}

// left waits for the hooks of a node that has ended, and is the error that names one that does
// not return.
func (n *Node) left() error {
	patience := time.NewTimer(hookPatience)
	defer patience.Stop()
	for _, d := range n.databases {
		for c := d.hooks.oldest(); c != nil; c = d.hooks.oldest() {
			select {
			case <-c.ended:
			case <-patience.C:
				return fmt.Errorf("fleet: leave as %s: %s %w: it was called for %s at %s, and goes on", n.cfg.Node, c.hook, errHung, c.version, c.since.Format(time.DateTime))
			}
		}
		if h := d.hook(); h != nil {
			return fmt.Errorf("fleet: leave as %s: a callback of %s %w: it has been running since %s", n.cfg.Node, h.Name, errHung, h.Since.Format(time.DateTime))
		}
	}
	return nil
}
