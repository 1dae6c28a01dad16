package engine

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// denial is what the server refused for want of a right. It says so on the connection, and
// not in answer to a request, which gets none.
type denial struct {
	what string
	at   time.Time
}

func (d *denial) Error() string        { return ErrNotPermitted.Error() + ": " + d.what }
func (d *denial) Is(target error) bool { return target == ErrNotPermitted }

// denials are those of a connection.
type denials struct {
	mu   sync.Mutex // guards what follows
	last *denial
	wait map[context.Context]context.CancelCauseFunc
}

// told gets what the server says that is no answer.
func (e *Engine) told(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	what := err.Error()
	if _, subject, found := strings.Cut(what, "Permissions Violation for "); found {
		what = strings.ToLower(subject[:1]) + subject[1:] // publish to "…"
	}
	e.denials.mu.Lock()
	defer e.denials.mu.Unlock()
	last := &denial{what, time.Now()}
	e.denials.last = last
	for _, end := range e.denials.wait {
		time.AfterFunc(denialGrace, func() { end(last) })
	}
}

// denialGrace is how long what waits goes on after a denial: that may have been of something
// else, for which nobody waits, and then the answer is on its way.
const denialGrace = 500 * time.Millisecond

// deniedSince returns what was refused since then, nil if nothing.
func (e *Engine) deniedSince(t time.Time) error {
	e.denials.mu.Lock()
	defer e.denials.mu.Unlock()
	if last := e.denials.last; last != nil && !last.at.Before(t) {
		return last
	}
	return nil
}

// UntilDenied is a context that ends soon after the server has refused something, with that as
// its cause: a command does not wait for an answer that will not come. Whoever is patient does
// several things at once, of which the server may refuse any.
func (e *Engine) UntilDenied(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	if !e.config.Patient {
		e.denials.mu.Lock()
		if e.denials.wait == nil {
			e.denials.wait = map[context.Context]context.CancelCauseFunc{}
		}
		e.denials.wait[ctx] = end
		e.denials.mu.Unlock()
	}
	return ctx, func() {
		e.denials.mu.Lock()
		delete(e.denials.wait, ctx)
		e.denials.mu.Unlock()
		end(nil)
	}
}

// unlessDenied does something until the server has refused it.
func (e *Engine) unlessDenied(ctx context.Context, do func(context.Context) error) error {
	ctx, end := e.UntilDenied(ctx)
	defer end()
	err := do(ctx)
	if denied := context.Cause(ctx); err != nil && errors.Is(denied, ErrNotPermitted) {
		return denied
	}
	return err
}
