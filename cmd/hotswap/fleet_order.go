package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"hotswap/internal/engine"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/internal/trust"
)

// signFlags say who orders.
type signFlags struct {
	Key   string   `placeholder:"FILE" help:"Sign the order with this private key (see hotswap fleet key): nodes with trusted keys obey no other."`
	Trust []string `placeholder:"KEY" help:"With --key: whoever else may publish and order, as hotswap fleet key prints it. May be repeated."`
}

// control is what the commands work with that order something.
type control struct {
	engine *engine.Engine
	repo   *repository.Repository
	recs   *records.Records
	keys   trust.Keys // of those whose orders are believed; none for all
}

func (f engineFlags) control(ctx context.Context, sign signFlags) (*control, error) {
	keys, err := parseKeys(sign.Trust)
	if err != nil {
		return nil, err
	}
	var key ed25519.PrivateKey
	var publishers trust.Keys
	if sign.Key != "" {
		if key, err = trust.Read(sign.Key); err != nil {
			return nil, fileFailure(err)
		}
		if keys = append(keys, key.Public().(ed25519.PublicKey)); len(keys) > 1 {
			publishers = keys
		}
	} else if len(keys) > 0 {
		return nil, usagef("--trust is for --key: an order that is not signed is obeyed by no node that trusts keys")
	}
	repo, e, err := f.repository(ctx, publishers)
	if err != nil {
		return nil, err
	}
	recs, err := records.Open(ctx, e)
	if err != nil {
		e.Close()
		return nil, fleetFailure(err)
	}
	return &control{e, repo, recs.SignedWith(key), keys}, nil
}

func (f *control) close() { f.engine.Close() }

// order writes the order that follows the one there is; it is told whether that is done.
// Afresh, it takes nothing from that.
func (f *control) order(ctx context.Context, channel string, afresh bool, next func(before *rollout.Order, done bool) (rollout.Order, error)) (o rollout.Order, err error) {
	before, entry, err := f.recs.Order(ctx, channel)
	if err == nil && before != nil {
		// What is made from it is signed: it must be what somebody who may has ordered.
		before, err = entry.Sealed.Order(f.keys, channel)
	}
	if afresh && entry.Revision != 0 {
		before, entry.Afresh, err = nil, true, nil
	}
	if errors.Is(err, trust.ErrUntrusted) || errors.Is(err, records.ErrDamaged) {
		return o, (&failure{code: exitBadDatabase, err: err}).
			withHint("is it a colleague's, name the key with --trust; or order a version without regard to it, with `hotswap fleet rollout --afresh`")
	}
	if err != nil {
		return o, fleetFailure(err)
	}
	progress, _, err := f.recs.Progress(ctx, channel)
	if err != nil {
		return o, fleetFailure(err)
	}
	done := before != nil && progress != nil && progress.Of(*before) && progress.Phase == rollout.Done
	if o, err = next(before, done); err != nil {
		return o, err
	}
	at, err := f.recs.SetOrder(ctx, o, entry)
	if errors.Is(err, records.ErrChanged) {
		return o, failf(exitTryAgain, "somebody else has changed the order of %s at this moment", channel).
			withHint("see what it is now with `hotswap fleet status %s`", channel)
	}
	if err != nil {
		return o, fleetFailure(err)
	}
	// A collection that has not seen the order may be removing the version.
	v := repository.Version{Channel: channel, Number: o.Version}
	if _, err := f.repo.Confirm(ctx, v, records.OrderKey(channel), at.Revision); err != nil {
		_, undone := f.recs.SetOrder(ctx, o.Halt(), at)
		return o, fleetFailure(errors.Join(fmt.Errorf("the order is halted: %w", err), undone))
	}
	return o, nil
}
