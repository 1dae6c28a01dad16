package main

import (
	"context"
	"fmt"
	"time"

	"hotswap/internal/printable"
	"hotswap/sockserver"
	"hotswap/swapper"
)

// subscribeTimeout bounds the wait for a stderr socket that takes the
// connection and does not answer, though the program's other one did.
const subscribeTimeout = 5 * time.Second

// follower prints the status lines of one command as they come, and remembers
// what they report about the outcome.
type follower struct {
	sub  *sockserver.Subscription // nil: there are no status lines
	done chan struct{}            // closed after the last line

	// Written before done is closed, read after.
	last    *sockserver.Line // the line that ends the command; nil if it never came
	renamed bool             // the new database went live, and stayed
}

// follow subscribes to a command that is to be started next. Without the
// stderr socket the command still works. An interrupt of ctx does not end the
// subscription: the command still waits for its last line.
func follow(ctx context.Context, client *sockserver.Client, id string, out *output) *follower {
	f := &follower{done: make(chan struct{})}
	ctx, cancel := context.WithTimeoutCause(ctx, subscribeTimeout, fmt.Errorf("no answer from %s within %v", printable.Line(client.StderrSocketPath()), subscribeTimeout))
	defer cancel()
	sub, err := client.Subscribe(ctx, id)
	if err != nil {
		out.say("hotswap: no status lines: %v", err)
		close(f.done)
		return f
	}
	f.sub = sub
	go f.read(out)
	return f
}

func (f *follower) read(out *output) {
	defer close(f.done)
	for {
		line, err := f.sub.Next()
		if err != nil {
			return
		}
		out.still.reached(line.Step)
		if line.Dropped > 0 {
			out.say("(%d status lines dropped)", line.Dropped)
		}
		switch line.Step {
		case swapper.StepRenamed:
			f.renamed = true
		case swapper.StepSwappedBack:
			f.renamed = false
		}
		if line.Last {
			f.last = &line
		} else {
			out.statusLine(line)
		}
	}
}

// wait waits for the last line, for at most limit, closes the follower, and
// reports whether the line came.
func (f *follower) wait(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
	}
	f.close()
	return f.last != nil
}

// close ends the subscription and waits for what it prints.
func (f *follower) close() {
	if f.sub != nil {
		f.sub.Close()
	}
	<-f.done
}
