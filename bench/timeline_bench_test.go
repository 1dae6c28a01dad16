package bench

import (
	"fmt"
	"testing"
	"time"
)

// between is the rest between two swaps of the timeline: long enough to see
// what calls take when there is none.
const between = 400 * time.Millisecond

// BenchmarkTimeline records every call of the programs of BenchmarkPeers over
// some swaps, with the swaps themselves.
func BenchmarkTimeline(b *testing.B) {
	if *recordDir == "" {
		b.Skip("only with -record DIR")
	}
	r := recording{name: "timeline.csv", rows: [][]string{{"way", "kind", "start_ms", "took_ms", "outcome"}}}
	defer r.write(b)
	for _, way := range ways {
		b.Run("way="+way.name, func(b *testing.B) {
			t := swapUnderTraffic(b, way, between)
			for _, s := range t.swaps {
				r.add(way.name, "swap", fmt.Sprint(milliseconds(s.start)), fmt.Sprint(milliseconds(s.end-s.start)), "ok")
			}
			for _, c := range t.calls {
				r.add(way.name, c.kind.String(), fmt.Sprint(milliseconds(c.start)), fmt.Sprint(milliseconds(c.took)), c.outcome())
			}
		})
	}
}

// outcome is the worst of what happened to the call.
func (c call) outcome() string {
	switch {
	case c.mixed:
		return "mixed"
	case c.old:
		return "old"
	case c.failed:
		return "failed"
	}
	return "ok"
}
