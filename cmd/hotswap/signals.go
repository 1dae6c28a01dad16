package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
)

// errInterrupted is why the context of an interrupted command ended.
var errInterrupted = errors.New("interrupted")

// interruptible returns a context that ends with the first SIGINT, SIGTERM or
// SIGHUP, so that the command can tell the server, clean up, and learn what
// came of it. The next one ends the process.
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
		if again(signals, done) {
			if isatty.IsTerminal(stdio.err.Fd()) {
				fmt.Fprint(stdio.err, "\r\x1b[J") // the live line
			}
			status := "hotswap status"
			if known := stdio.status.Load(); known != nil {
				status = *known
			}
			fmt.Fprintf(stdio.err, "hotswap: interrupted twice: the outcome is unknown; `%s` shows it\n", status)
			os.Exit(exitFailed)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}

// echo is how long after a signal a further one is taken for the same: timeout(1)
// sends one to its child and one to their process group, and both arrive.
const echo = 250 * time.Millisecond

// again waits for a signal after the first, and reports whether there was one.
func again(signals <-chan os.Signal, done <-chan struct{}) bool {
	timer := time.NewTimer(echo)
	defer timer.Stop()
	for fresh := false; ; {
		select {
		case <-timer.C:
			fresh = true
		case <-signals:
			if fresh {
				return true
			}
		case <-done:
			return false
		}
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
