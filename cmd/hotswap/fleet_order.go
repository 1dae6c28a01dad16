package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"hotswap/internal/engine"
	"hotswap/internal/orders"
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

// desk is where its orders are changed.
func (f *control) desk() orders.Desk {
	return orders.Desk{Records: f.recs, Versions: f.repo, Keys: f.keys}
}

// order writes the order that follows the one there is; it is told whether that is done.
// Afresh, it takes nothing from that.
func (f *control) order(ctx context.Context, channel string, afresh bool, next func(before *rollout.Order, done bool) (rollout.Order, error)) (rollout.Order, error) {
	o, err := f.desk().Change(ctx, channel, afresh, next)
	return o, orderFailure(channel, err)
}

// orderFailure gives an error of a change of an order its exit code.
func orderFailure(channel string, err error) error {
	switch {
	case errors.Is(err, orders.ErrNotBelieved):
		return (&failure{code: exitBadDatabase, err: err}).
			withHint("if it is a colleague's, name their public key with --trust; `hotswap fleet rollout --afresh` orders a version without regard to it")
	case errors.Is(err, orders.ErrUnsigned):
		return (&failure{code: exitUsage, err: fmt.Errorf("channel %s: %w", channel, err)}).
			withHint("sign with --key FILE; `hotswap fleet rollout --afresh` orders without, as where no node trusts keys any more")
	case errors.Is(err, records.ErrChanged):
		return failf(exitTryAgain, "somebody else has changed the order of %s at this moment", channel).
			withHint("see what it is now with `hotswap fleet status %s`", channel)
	case errors.Is(err, orders.ErrNothing):
		return nothingOrdered(channel)
	}
	return fleetFailure(err)
}
