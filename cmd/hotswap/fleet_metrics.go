package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/fleetview"
	"hotswap/internal/fleetview/metrics"
	"hotswap/internal/records"
)

// fleetMetricsCmd is `hotswap fleet metrics`.
type fleetMetricsCmd struct {
	engineFlags
	Listen string `default:"127.0.0.1:9465" placeholder:"HOST:PORT" help:"Where Prometheus finds them; by default 127.0.0.1:9465."`
}

// Help is the text below the flags.
func (fleetMetricsCmd) Help() string {
	return `They are at /metrics, until it is interrupted: nodes by version, prepared, failed, silent, and the phase and the wave of each rollout. One is enough for a fleet; an onlooker's credentials suffice. The engine is read when somebody asks, at most once in five seconds.` + "\n\n" + examples(
		"", "hotswap fleet metrics --engine nats://engine-1,nats://engine-2,nats://engine-3",
	)
}

// Run serves until the context ends. It does not need the engine to be there.
func (c *fleetMetricsCmd) Run(ctx context.Context, stdio *streams) error {
	e, err := c.patient(ctx)
	if err != nil {
		return err
	}
	defer e.Close()
	return serveFleetMetrics(ctx, stdio, e, c.Listen)
}

// serveFleetMetrics serves the figures of the fleet on an engine.
func serveFleetMetrics(ctx context.Context, stdio *streams, e *engine.Engine, listen string) error {
	if _, _, err := splitListen(listen); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return failf(exitFailed, "serve the metrics: %w", err).withHint("choose another address")
	}
	var recs *records.Records // once the engine was there
	read := func(ctx context.Context) (_ fleetview.Fleet, err error) {
		if recs == nil {
			if recs, err = records.Open(ctx, e); err != nil {
				return fleetview.Fleet{}, err
			}
		}
		all, err := recs.Read(ctx)
		if err != nil {
			return fleetview.Fleet{}, err
		}
		return fleetview.Of(all, ""), nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics.Handler(read, func(err error) {
		if err != nil {
			fmt.Fprintf(stdio.err, "hotswap: the fleet can't be read: %s\n", indent(err.Error()))
		} else {
			fmt.Fprintln(stdio.err, "hotswap: the fleet can be read again")
		}
	}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if _, err := fmt.Fprintf(stdio.out, "metrics at http://%s/metrics\n", listener.Addr()); err != nil {
		listener.Close()
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the metrics: %w", err)
	}
	return nil
}
