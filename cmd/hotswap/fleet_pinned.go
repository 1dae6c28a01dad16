package main

import (
	"context"
	"fmt"
	"time"

	"hotswap/internal/printable"
	"hotswap/internal/records"
)

// pinPatience is how long a node is given to say whether it obeys a pin: it renews what it says
// of itself within that time. It is a variable for tests.
var pinPatience = records.Renewal + 2*time.Second

// saidOfPin is what a node has said last, by its own clock, and whether it refused a pin then.
type saidOfPin struct {
	at      time.Time
	refused string
}

func (f *control) lastOf(ctx context.Context, channel, node string) saidOfPin {
	if n, err := f.recs.Node(ctx, node); err == nil && n != nil {
		return saidOfPin{n.Clock, n.Databases[channel].RefusedPin}
	}
	return saidOfPin{}
}

// awaitPin waits until the node has said whether it obeys the pin that was written after what it
// has said last; version is 0 if that takes one away. A node that does not answer is not waited for.
func (f *control) awaitPin(ctx context.Context, stdio *streams, channel, node string, last saidOfPin, version uint64) error {
	var refusal error
	for end := time.Now().Add(pinPatience); time.Now().Before(end); {
		n, err := f.recs.Node(ctx, node)
		if err != nil {
			return fleetFailure(err)
		}
		if n == nil {
			n = &records.Node{}
		}
		db, follows := n.Databases[channel]
		switch {
		case !follows:
			fmt.Fprintf(stdio.err, "hotswap: no node %s of the channel %s answers: the pin waits for it\n", printable.Line(node), channel)
			return nil
		case n.Clock.Equal(last.at):
		case db.RefusedPin != "":
			refusal = failf(exitBadDatabase, "%s refuses that: %s", printable.Line(node), printable.Line(db.RefusedPin)).
				withHint("`hotswap fleet unpin %s %s`, signed with a key that it trusts, takes it back", printable.Line(node), channel)
			if db.RefusedPin != last.refused { // else it may be of the pin before
				return refusal
			}
		case db.Pinned == version:
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fleetFailure(context.Cause(ctx))
		}
	}
	if refusal != nil {
		return refusal
	}
	fmt.Fprintf(stdio.err, "hotswap: %s has not said yet whether it obeys: see `hotswap fleet status %s`\n", printable.Line(node), channel)
	return nil
}
