package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// errSick: the program is not in order with a version.
var errSick = errors.New("the program is not in order")

// errUnwell: it is not any more, and was when the version was rolled out. That is no reason to
// go back: whatever it is, it came later.
var errUnwell = errors.New("the program is not in order any more")

// ask asks Health about the live version, and goes back if it fails.
func (d *database) ask(ctx context.Context, number uint64) error {
	began := time.Now()
	err := d.health(ctx, number)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.mu.Lock()
	if d.asked = time.Now(); err == nil {
		d.agreed = began
	}
	order, p := d.view.order, d.view.progress
	over := order != nil && p != nil && p.Of(*order) && p.Phase == rollout.Done
	d.mu.Unlock()
	if err == nil {
		d.inOrder(ctx, number, d.current().Tag)
		d.change(func(s *records.Database) {
			if order != nil && order.Kind == rollout.Rollback && order.Version == number {
				s.Failed = nil // it has nothing to wait for
			}
		})
		return nil
	}
	if d.witnessed && over {
		return fmt.Errorf("%w with %s: %w", errUnwell, d.version(number), err)
	}
	err = fmt.Errorf("%w with %s: %w", errSick, d.version(number), err)
	if order == nil || order.Kind != rollout.Rollout || order.Version != number {
		return err // it is where it has to be: by a pin, or because the fleet went back to it
	}
	// Told at once, whatever becomes of the way back. Not in order any more, it is asked again
	// until it is back: if there were nothing left to do, what comes of this would be stopped.
	d.change(func(s *records.Database) {
		s.Healthy = 0
		s.Failed = &rollout.Failure{Order: order.ID, Attempt: order.Attempt, Version: number, Why: err.Error()}
	})
	if d.should(number) {
		return fmt.Errorf("%w; and it stays: without this rollout it should have that, too", err)
	}
	// The task may be ended as soon as it is back, and its error would be heard by nobody.
	d.log.Warn().Err(err).Stringer("version", d.version(number)).Msg("going back")
	if back := d.goBack(ctx); back != nil {
		return fmt.Errorf("%w; and it stays: %w", err, back)
	}
	return err
}

// should reports whether the node, as it is now, is to have a version: if it has failed to follow
// the order, that may be by an earlier one, or by a pin.
func (d *database) should(number uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.view
	return v.order != nil && rollout.Desired(*v.order, v.progress, v.pin, d.me()) == number
}

// agreedAgo is how long ago Health began to agree last; 0 if there is none, or if it has not.
func (d *database) agreedAgo() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.node.cfg.Health == nil || d.agreed.IsZero() {
		return 0
	}
	return time.Since(d.agreed)
}

// inOrder takes down that the program is in order with the live version.
func (d *database) inOrder(ctx context.Context, number uint64, tag string) {
	if !d.witnessed {
		d.writeDown(ctx, records.Having{Version: number, Tag: tag, InOrder: true})
	}
	d.witnessed = true
	d.change(func(s *records.Database) { s.Healthy = number })
}

// health calls Health, with an end.
func (d *database) health(ctx context.Context, number uint64) error {
	cfg := d.node.cfg
	if cfg.Health == nil {
		return nil
	}
	ctx, cancel := awake(ctx, cfg.HealthTimeout)
	defer cancel()
	v := d.version(number)
	return d.hooks.call(ctx, "Health", v, func(ctx context.Context) error { return cfg.Health(ctx, v) })
}
