package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"

	"github.com/alecthomas/kong"

	"hotswap/internal/engine"
	"hotswap/internal/repository"
	"hotswap/internal/trust"
	"hotswap/swapper"
)

// fleetCmd is `hotswap fleet`.
type fleetCmd struct {
	Serve    fleetServeCmd    `cmd:"" help:"Run the engine, a NATS server with JetStream, on a directory."`
	Publish  fleetPublishCmd  `cmd:"" help:"Publish a database as the next version of a channel."`
	Rollout  fleetRolloutCmd  `cmd:"" help:"Have the nodes of a channel swap a version in, in waves."`
	Status   fleetStatusCmd   `cmd:"" help:"Show which node has which version, and how rollouts proceed."`
	Halt     fleetHaltCmd     `cmd:"" help:"Halt a rollout."`
	Resume   fleetResumeCmd   `cmd:"" help:"Let a rollout go on that is halted, or waits for approval."`
	Rollback fleetRollbackCmd `cmd:"" help:"Have the nodes of a channel go back to a version."`
	Pin      fleetPinCmd      `cmd:"" help:"Hold one node at a version."`
	Unpin    fleetUnpinCmd    `cmd:"" help:"Let a node follow again."`
	Versions fleetVersionsCmd `cmd:"" help:"List the versions of a channel."`
	Fetch    fleetFetchCmd    `cmd:"" help:"Fetch a version into a file."`
	GC       fleetGCCmd       `cmd:"" name:"gc" help:"Remove old versions, and what no version has any more."`
	Metrics  fleetMetricsCmd  `cmd:"" help:"Serve the figures of the whole fleet for Prometheus."`
	UI       fleetUICmd       `cmd:"" name:"ui" help:"Show the fleet in a browser."`
	Key      fleetKeyCmd      `cmd:"" help:"Make a pair of keys, to sign versions and orders with."`
}

// limits are the flags without which a command trusts, means or removes more.
var limits = []string{"trust", "key", "select", "channel"}

// AfterApply refuses a limit that is empty, as of a shell's variable that is not set: it would
// be none.
func (fleetCmd) AfterApply(parsed *kong.Context) error {
	for _, p := range parsed.Path {
		if p.Flag != nil && slices.Contains(limits, p.Flag.Name) && reflect.ValueOf(parsed.FlagValue(p.Flag)).Len() == 0 {
			return fmt.Errorf("--%s is empty: leave it out if there is to be none", p.Flag.Name)
		}
	}
	return nil
}

// engineFlags say where the engine is, and who connects.
type engineFlags struct {
	Engine  string `placeholder:"URL" help:"The engine's servers, with commas between ($HOTSWAP_ENGINE). By default those of --context, or nats://127.0.0.1:4222."`
	Context string `placeholder:"NAME" help:"A context of the nats command: where the engine is, and who connects."`
	Creds   string `placeholder:"FILE" help:"A file of NATS credentials."`
	TLSCA   string `name:"tlsca" placeholder:"FILE" help:"The authorities that the engine's certificate must be from."`
	TLSCert string `name:"tlscert" placeholder:"FILE" help:"The certificate with which to connect."`
	TLSKey  string `name:"tlskey" placeholder:"FILE" help:"Its private key."`
}

// connect connects to the engine.
func (f engineFlags) connect(ctx context.Context) (*engine.Engine, error) {
	return f.open(ctx, false)
}

// patient connects to the engine, now or when it is there.
func (f engineFlags) patient(ctx context.Context) (*engine.Engine, error) { return f.open(ctx, true) }

func (f engineFlags) open(ctx context.Context, patient bool) (*engine.Engine, error) {
	url := f.Engine
	if url == "" && f.Context == "" {
		url = os.Getenv(engine.EnvURL)
	}
	e, err := engine.Connect(ctx, engine.Config{URL: url, Context: f.Context, Creds: f.Creds, Name: "hotswap fleet", Patient: patient,
		TLS: engine.TLS{CA: f.TLSCA, Cert: f.TLSCert, Key: f.TLSKey}})
	return e, fleetFailure(err)
}

// repository opens the repository on the engine. The caller closes the engine.
func (f engineFlags) repository(ctx context.Context, keys trust.Keys) (*repository.Repository, *engine.Engine, error) {
	e, err := f.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	r, err := repository.Open(ctx, e, keys)
	if err != nil {
		e.Close()
		return nil, nil, fleetFailure(err)
	}
	return r, e, nil
}

// fleetFailure gives an error of the engine's, or of the repository's, its exit code.
func fleetFailure(err error) error {
	if err == nil {
		return nil
	}
	if _, done := errors.AsType[*failure](err); done {
		return err
	}
	code := exitFailed
	for _, kind := range []struct {
		err  error
		code int
	}{
		{engine.ErrName, exitUsage},
		{repository.ErrVersion, exitUsage},
		{swapper.ErrBadDatabase, exitBadDatabase},
		{trust.ErrUntrusted, exitBadDatabase},
		{repository.ErrManifest, exitBadDatabase},
		{repository.ErrIndex, exitBadDatabase},
		{repository.ErrChunk, exitBadDatabase},
		{repository.ErrPack, exitBadDatabase},
		{engine.ErrCredentials, exitNotAllowed},
		{engine.ErrNotPermitted, exitNotAllowed},
		{repository.ErrObjectsForbidden, exitNotAllowed},
		{os.ErrPermission, exitNotAllowed},
		{swapper.ErrNotPermitted, exitNotAllowed},
		{repository.ErrIntent, exitTryAgain},
		{swapper.ErrBusy, exitTryAgain},
		{engine.ErrUnreachable, exitNoServer},
		{engine.ErrSilent, exitNoServer},
		{engine.ErrNotKept, exitNoServer},
		{repository.ErrObjectsSilent, exitNoServer},
		{engine.ErrNoJetStream, exitNoServer},
	} {
		if errors.Is(err, kind.err) {
			code = kind.code
			break
		}
	}
	return &failure{code: code, err: err}
}
