package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/mattn/go-isatty"
)

// errInterrupted is why the context of an interrupted command ended.
var errInterrupted = errors.New("interrupted")

// interruptible returns a context that ends with the first SIGINT, SIGTERM or
// SIGHUP, so that the command can tell the server, clean up, and learn what
// came of it. The second one ends the process.
//
// SIGPIPE is ignored: writing to a closed pipe is an error like others, with a
// message and an exit code.
func interruptible(parent context.Context, stdio *streams) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		select {
		case sig := <-signals:
			cancel(fmt.Errorf("%w by %s", errInterrupted, name(sig)))
		case <-done:
			return
		}
		select {
		case <-signals:
			if isatty.IsTerminal(stdio.err.Fd()) {
				fmt.Fprint(stdio.err, "\r\x1b[J") // the live line
			}
			fmt.Fprintln(stdio.err, "hotswap: interrupted twice: the outcome is not known; run `hotswap status`")
			os.Exit(exitFailed)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

func name(sig os.Signal) string {
	switch sig {
	case os.Interrupt:
		return "SIGINT"
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGHUP:
		return "SIGHUP"
	default:
		return sig.String()
	}
}
