package rollout

import (
	"strings"
	"testing"
	"time"
)

// TestACanaryHasToAgreeAfterTheSoak: one that was stopped meanwhile has been asked nothing.
func TestACanaryHasToAgreeAfterTheSoak(t *testing.T) {
	o, _ := NewRollout("a", "catalog", 7, Plan{Canary: 1, Soak: time.Minute, Timeout: time.Hour}, nil, false)
	p := &Progress{Order: "a", Phase: Soaking, Waves: [][]string{{"a"}, {"b"}}, Open: 1}
	view := View{Nodes: map[string]Node{"b": {Name: "b", State: State{Prepared: 7}}}, Settled: true, Lasted: 2 * time.Minute}
	after := func(quiet, agreed time.Duration) Progress {
		view.Nodes["a"] = Node{Name: "a", Quiet: quiet, State: State{Have: 7, Healthy: 7, Agreed: agreed}}
		next, _ := Step(p, o, view)
		return next
	}
	for _, early := range [][2]time.Duration{{0, 61 * time.Second}, {31 * time.Second, 30 * time.Second}} {
		if next := after(early[0], early[1]); next.Phase != Soaking || len(next.Failed) > 0 {
			t.Errorf("%v: %+v", early, next)
		}
	}
	if next := after(time.Second, 58*time.Second); next.Open != 2 {
		t.Errorf("%+v", next)
	}
	view.Lasted = 2 * time.Hour
	if next := after(0, 2*time.Hour); len(next.Failed) != 1 || !strings.Contains(next.Failed[0].Why, "to stay in order") {
		t.Errorf("%+v", next)
	}
}
