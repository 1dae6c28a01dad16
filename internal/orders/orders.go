// Package orders changes what is ordered of a channel, so that nobody's change is lost and
// what is ordered can be had: for the command, and for a program whose page has a fleet.
package orders

import (
	"context"
	"errors"
	"fmt"

	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/internal/trust"
)

// Records is what is read and written: *records.Records.
type Records interface {
	Order(ctx context.Context, channel string) (*rollout.Order, records.Entry, error)
	Progress(ctx context.Context, channel string) (*rollout.Progress, records.Entry, error)
	SetOrder(ctx context.Context, o rollout.Order, over records.Entry) (records.Entry, error)
}

// Versions says what is published: *repository.Repository.
type Versions interface {
	Claim(ctx context.Context, v repository.Version) (repository.Published, error)
	Confirm(ctx context.Context, v repository.Version, key string, revision uint64) (repository.Published, error)
}

// Desk is where orders are changed.
type Desk struct {
	Records  Records
	Versions Versions
	// Keys are of those whose orders are believed; none for all. A desk without any does not
	// sign.
	Keys trust.Keys
}

var (
	// ErrNotBelieved: the order that there is can't be built upon, since it is damaged, or not
	// signed by whom is trusted.
	ErrNotBelieved = errors.New("the order that there is can't be built upon")
	// ErrUnsigned: the order that there is was signed, and what follows would not be.
	ErrUnsigned = errors.New("the orders of the channel are signed, and nodes with trusted keys obey no other")
	// ErrNothing: nothing was ordered yet.
	ErrNothing = errors.New("nothing was rolled out to the channel yet")
	// ErrSettled: the order is as the change would make it.
	ErrSettled = errors.New("nothing is to be changed")
)

// notBelieved is an ErrNotBelieved with the words of its reason.
type notBelieved struct{ error }

func (n notBelieved) Is(target error) bool { return target == ErrNotBelieved }
func (n notBelieved) Unwrap() error        { return n.error }

// Change writes the order that follows the one there is; next is told whether that is done.
// Afresh, it takes nothing from that. Nobody who forgets to sign takes the place of an order that
// is signed: no node would obey, and nothing could be made from it any more. Of two who change it at once, one gets
// records.ErrChanged.
func (d Desk) Change(ctx context.Context, channel string, afresh bool, next func(before *rollout.Order, done bool) (rollout.Order, error)) (o rollout.Order, err error) {
	before, entry, err := d.Records.Order(ctx, channel)
	if err == nil && before != nil {
		// What is made from it is signed: it must be what somebody who may has ordered.
		before, err = entry.Sealed.Order(d.Keys, channel)
		entry.Trusted = err == nil && len(d.Keys) > 0
	}
	if err == nil && !afresh && len(d.Keys) == 0 && entry.Sealed != nil && entry.Sealed.Signed() {
		return o, ErrUnsigned
	}
	if afresh && entry.Revision != 0 {
		before, entry.Afresh, err = nil, true, nil
	}
	if errors.Is(err, trust.ErrUntrusted) || errors.Is(err, records.ErrDamaged) {
		return o, notBelieved{err}
	}
	if err != nil {
		return o, err
	}
	progress, _, err := d.Records.Progress(ctx, channel)
	if err != nil {
		return o, err
	}
	done := before != nil && progress != nil && progress.Of(*before) && progress.Phase == rollout.Done
	if o, err = next(before, done); err != nil {
		return o, err
	}
	v := repository.Version{Channel: channel, Number: o.Version}
	undo := o.Halt()
	if before == nil || o.ID != before.ID {
		p, err := d.Versions.Claim(ctx, v)
		if err != nil {
			return o, err
		}
		o = o.Tagged(o.Version, p.Tag)
		if undo = o.Halt(); before != nil {
			undo = *before
		}
	}
	at, err := d.Records.SetOrder(ctx, o, entry)
	if err != nil {
		return o, err
	}
	// A collection that has not seen the order may have removed the version.
	if _, err := d.Versions.Confirm(ctx, v, records.OrderKey(channel), at.Revision); err != nil {
		at.Trusted = entry.Trusted
		if _, undone := d.Records.SetOrder(ctx, undo, at); undone != nil {
			return o, errors.Join(err, fmt.Errorf("and the order can't be taken back: %w", undone))
		}
		if undo.ID == o.ID {
			return o, fmt.Errorf("the order is halted: %w", err)
		}
		return o, fmt.Errorf("the order before stands again: %w", err)
	}
	return o, nil
}

// Halt halts the order that there is.
func (d Desk) Halt(ctx context.Context, channel string) (rollout.Order, error) {
	return d.Change(ctx, channel, false, func(before *rollout.Order, _ bool) (rollout.Order, error) {
		switch {
		case before == nil:
			return rollout.Order{}, ErrNothing
		case before.Halted:
			return *before, fmt.Errorf("%w: %s@%d is halted already", ErrSettled, before.Channel, before.Version)
		}
		return before.Halt(), nil
	})
}

// Rollback orders to go back to a version, or with 0 to the one before. adjust, if not nil,
// adds who says so.
func (d Desk) Rollback(ctx context.Context, channel, id string, version uint64, adjust func(*rollout.Order)) (rollout.Order, error) {
	return d.Change(ctx, channel, false, func(before *rollout.Order, _ bool) (rollout.Order, error) {
		if before == nil {
			return rollout.Order{}, ErrNothing
		}
		if version != 0 { // what was never published is neither older nor newer
			if _, err := d.Versions.Claim(ctx, repository.Version{Channel: channel, Number: version}); err != nil {
				return rollout.Order{}, err
			}
		}
		o, err := rollout.NewRollback(id, version, *before)
		if err != nil {
			return o, err
		}
		if adjust != nil {
			adjust(&o)
		}
		return o, nil
	})
}
