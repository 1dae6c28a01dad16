package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"

	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
	"hotswap/internal/printable"
)

// fleetServeCmd is `hotswap fleet serve`.
type fleetServeCmd struct {
	Dir      string `arg:"" optional:"" help:"Where it stores; made if it is not there. Without --config it is needed."`
	Listen   string `placeholder:"HOST:PORT" help:"Where it takes connections; by default 127.0.0.1:4222, which only this machine reaches. Without --config no other machine may: whoever reaches it may publish."`
	Config   string `placeholder:"FILE" help:"A configuration of nats-server's: for TLS, accounts, a cluster."`
	MaxStore int64  `placeholder:"BYTES" help:"How much it may store; by default three quarters of what is free on the disk. An eighth of it, or 64 MiB, is not for publishers: who halts, goes back or removes versions needs some."`
	Metrics  string `placeholder:"HOST:PORT" help:"Serve the figures of the fleet for Prometheus there, at /metrics. With --config use hotswap fleet metrics."`
	Verbose  bool   `help:"Print all of the server's log; by default warnings and errors."`
}

// Help is the text below the flags.
func (fleetServeCmd) Help() string {
	return `Runs until it is interrupted. What it has acknowledged is on the disk (sync_interval: always). The server is that of nats-server: the nats command works with it, and it can be one of a cluster. GOMEMLIMIT bounds its memory; by default 512MiB.` + "\n\n" + examples(
		"for one server, or for trying", "hotswap fleet serve /var/lib/hotswap-engine",
		"as one of three, with accounts and TLS", "hotswap fleet serve --config /etc/hotswap/engine.conf",
	)
}

// serverMemory is what the Go runtime of the server may take, unless GOMEMLIMIT says so. It
// is a goal of its garbage collector's: without one the buffers of a large publication stay.
const serverMemory = 512 << 20

// Run serves until the context ends.
func (c *fleetServeCmd) Run(ctx context.Context, stdio *streams) error {
	config := embedded.Config{Dir: c.Dir, File: c.Config, MaxStore: c.MaxStore, Log: serverLog{stdio.err, c.Verbose}}
	if c.Dir == "" && c.Config == "" {
		return usagef("the engine needs a directory to store in").withHint("hotswap fleet serve DIR")
	}
	if c.Metrics != "" && c.Config != "" {
		return usagef("--metrics would need credentials where the engine has a --config").withHint("hotswap fleet metrics --creds FILE")
	}
	if c.Listen != "" {
		host, port, err := splitListen(c.Listen)
		if err != nil {
			return err
		}
		if c.Config == "" && !isLoopback(host) {
			return usagef("other machines would reach the engine at %s, and anyone there might publish", printable.Line(c.Listen)).
				withHint("give it accounts, and TLS, with --config FILE")
		}
		config.Listen, config.Port = host, port
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(serverMemory)
	}
	server, err := embedded.Start(config)
	if err != nil {
		return failf(exitFailed, "%w", err)
	}
	defer server.Stop()
	if c.Config == "" {
		if err := setUp(ctx, stdio, server); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(stdio.out, "engine at %s\n", server.ClientURL()); err != nil {
		return err
	}
	if c.Metrics != "" {
		e, err := engine.Connect(ctx, engine.Config{URL: server.ClientURL(), Name: "hotswap fleet serve"})
		if err != nil {
			return fleetFailure(err)
		}
		defer e.Close()
		return serveFleetMetrics(ctx, stdio, e, c.Metrics)
	}
	<-ctx.Done()
	return nil
}

// setUp makes the streams before anybody needs them, and keeps room for what decides.
func setUp(ctx context.Context, stdio *streams, server *embedded.Server) error {
	e, err := engine.Connect(ctx, engine.Config{URL: server.ClientURL(), Name: "hotswap fleet serve"})
	if err != nil {
		return fleetFailure(err)
	}
	defer e.Close()
	if err := e.Setup(ctx); err != nil {
		return fleetFailure(err)
	}
	if err := e.KeepRoom(ctx, server.JetStreamConfig().MaxStore); err != nil { // it may store less than it once might
		fmt.Fprintf(stdio.err, "hotswap: no room is kept for orders, if publishers fill the engine up: %s\n", printable.Line(err.Error()))
	}
	return nil
}

func splitListen(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || host == "" || port < 0 || port > 65535 {
		return "", 0, usagef("%q is not a host and a port, such as 127.0.0.1:4222", listen)
	}
	if port == 0 {
		port = -1 // any
	}
	return host, port, nil
}

// serverLog prints what the server says.
type serverLog struct {
	w       io.Writer
	verbose bool
}

func (l serverLog) print(format string, args ...any) {
	fmt.Fprintln(l.w, "hotswap: engine:", indent(fmt.Sprintf(format, args...)))
}

func (l serverLog) Noticef(format string, args ...any) {
	if l.verbose {
		l.print(format, args...)
	}
}

func (l serverLog) Warnf(format string, args ...any)  { l.print(format, args...) }
func (l serverLog) Errorf(format string, args ...any) { l.print(format, args...) }
func (l serverLog) Fatalf(format string, args ...any) { l.print(format, args...) }
func (serverLog) Debugf(string, ...any)               {}
func (serverLog) Tracef(string, ...any)               {}
