package fleet

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// stepped is a plane on which the engine's clock is set ahead, or back.
type stepped struct {
	plane
	step atomic.Int64
	told atomic.Int64 // how often since
}

func (s *stepped) tell(tell func(records.Change)) func(records.Change) {
	return func(c records.Change) {
		if step := s.step.Load(); step != 0 {
			c.At = c.At.Add(time.Duration(step))
			if c.Record != nil {
				c.Record.At = c.At
			}
			s.told.Add(1)
		}
		tell(c)
	}
}

func (s *stepped) WatchChannels(ctx context.Context, channels []string, node string, tell func(records.Change)) error {
	return s.plane.WatchChannels(ctx, channels, node, s.tell(tell))
}

func (s *stepped) WatchNodes(ctx context.Context, tell func(records.Change)) error {
	return s.plane.WatchNodes(ctx, s.tell(tell))
}

// TestASoakIsAsLongAsItIsWhateverTheEnginesClockSays: else a canary would be watched for no time at all.
func TestASoakIsAsLongAsItIsWhateverTheEnginesClockSays(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.endless(`{"node":"gone"}`) // until the plane is there
			one := w.publish("catalog")
			a := w.program("a", one, func(c *Config) { c.overdue = 2 * records.LeaseRenewal })
			w.program("b", one, nil)
			s := &stepped{}
			eventually(t, "it is connected", func() bool { return a.node.Status().Connected })
			a.node.mu.Lock()
			s.plane, a.node.plane = a.node.plane, s
			a.node.mu.Unlock()
			eventually(t, "it controls", func() bool { return a.node.Status().Controller })
			w.publish("catalog")
			soak := time.Hour
			if step < 0 {
				soak = 2 * time.Second
			}
			w.rollout(2, rollout.Plan{Canary: 1, Soak: soak})
			w.phase(rollout.Soaking, 2)
			s.step.Store(int64(step))
			if step < 0 {
				w.phase(rollout.Done, 2)
				return
			}
			eventually(t, "it is told the time", func() bool { return s.told.Load() > 5 })
			w.phase(rollout.Soaking, 2)
		})
	}
}

func TestAPhaseLastsForAsLongAsItWasSeen(t *testing.T) {
	var s phases
	soaking := func(open int, since time.Time) *rollout.Progress {
		return &rollout.Progress{Order: "x", Phase: rollout.Soaking, Open: open, Since: since}
	}
	saw := func(revision uint64, p *rollout.Progress) {
		s.saw(records.Change{Kind: records.AProgress, Channel: "catalog", Entry: records.Entry{Revision: revision}, Progress: p})
		time.Sleep(time.Millisecond)
	}
	at := time.Now()
	saw(5, soaking(1, at))
	lasted := s.lasted("catalog", soaking(1, at))
	saw(6, soaking(1, at)) // somebody is silent, say
	if now := s.lasted("catalog", soaking(1, at)); now <= lasted {
		t.Errorf("it begins anew with a change: %v after %v", now, lasted)
	}
	saw(4, soaking(0, at.Add(-time.Minute))) // by a watch that is behind
	saw(6, soaking(1, at))
	if s.lasted("catalog", soaking(1, at)) <= lasted {
		t.Error("it begins anew with what was before")
	}
	saw(2, soaking(1, at.Add(time.Minute))) // of an engine that is from an older copy
	if s.lasted("catalog", soaking(1, at.Add(time.Minute))) == 0 {
		t.Error("a phase of a lower revision does not last")
	}
	for i := range 100 {
		saw(7, soaking(i, at.Add(time.Hour)))
	}
	if n := len(s.seen["catalog"]); n > mostPhases {
		t.Errorf("%d are remembered", n)
	}
	for _, other := range []*rollout.Progress{nil, soaking(2, at), soaking(1, at.Add(time.Second))} {
		if s.lasted("catalog", other) != 0 {
			t.Errorf("%+v has lasted, which was not seen", other)
		}
	}
}
