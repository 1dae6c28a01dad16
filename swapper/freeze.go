package swapper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"hotswap/driver"
)

// freeze drains and closes the program's connections.
func (p *push) freeze(ctx context.Context) (*driver.Frozen, error) {
	p.phase("wait")
	if p.live != nil {
		p.live.checkpointAhead(ctx, p.target.path)
	}
	if err := p.nobodyElsewhere(); err != nil {
		return nil, err
	}
	frozen, err := p.db.Freeze(ctx, driver.FreezeOptions{
		Timeout: p.opts.Timeout, MaxPause: p.opts.MaxPause, Force: p.opts.Force,
		Logger: &p.opts.Logger,
		Notify: p.freezeStep,
	})
	var held *driver.HeldError
	switch {
	case err == nil:
	case errors.As(err, &held):
		p.report.Holders = held.Holders
		return nil, &failure{cause: held, kinds: []error{ErrBusy},
			hint: "try again, wait longer with --timeout, or end the holders with --force"}
	case errors.Is(err, driver.ErrFreezing):
		return nil, &failure{text: "the program has the database frozen", cause: err, kinds: []error{ErrBusy}, hint: "try again"}
	default:
		return nil, err
	}
	p.phase("swap")
	p.report.Connections, p.report.Attempts, p.report.Holders = frozen.Connections, frozen.Attempts, frozen.Holders
	return frozen, nil
}

func (p *push) freezeStep(e driver.FreezeEvent) {
	switch e.Step {
	case driver.FreezeWaiting:
		p.step(StepWaiting, "waiting for "+count(e.Count, "hold"), map[string]any{fieldCount: e.Count})
	case driver.FreezeGateClosed:
		p.step(StepGateClosed, string(StepGateClosed), map[string]any{"window": e.Window})
	case driver.FreezeGateReopened:
		text := "gate open again: waiting for"
		names := make([]string, len(e.Holders))
		for i, h := range e.Holders {
			names[i] = h.String()
		}
		p.stepEvent(Event{Time: time.Now(), Step: StepReopened, Text: text + " " + strings.Join(names, ", "), Holders: e.Holders},
			map[string]any{fieldHolders: names})
	case driver.FreezeClosed:
		p.step(StepClosed, "closed "+count(e.Count, "connection"), map[string]any{fieldCount: e.Count})
	}
}

// thaw opens the gate, with the new database behind it or the old one.
func (p *push) thaw(frozen *driver.Frozen) {
	if p.report.Swapped {
		frozen.Replaced()
	}
	pause := frozen.Thaw()
	p.report.Pause, p.report.Generation = pause, p.db.Generation()
	p.step(StepGateOpen, fmt.Sprintf("gate open: calls resume (pause %s)", human(pause)), map[string]any{fieldPause: pause})
	n, err := p.db.Reconnect()
	if err != nil {
		// The calls that come will try again, and get this error if it stays.
		p.step(StepReconnected, fmt.Sprintf("reconnected %s; then: %v", count(n, "connection"), err), map[string]any{fieldCount: n, "error": err.Error()})
		return
	}
	p.step(StepReconnected, "reconnected "+count(n, "connection"), map[string]any{fieldCount: n})
}
