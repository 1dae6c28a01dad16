package rollout

import "testing"

// TestAPinOfOnceDoesNotUndoAWave: a version that was tried on one node, by a pin, and then
// rolled out, stays with it when the rollout is halted.
func TestAPinOfOnceDoesNotUndoAWave(t *testing.T) {
	o, _ := NewRollout("a", "catalog", 2, Plan{Canary: 1}, &Order{ID: "0", Channel: "catalog", Kind: Rollout, Version: 1}, true)
	pin := Pin{}.After(&Pin{Version: 2})
	node := Node{Name: "a", State: State{Have: 2, Healthy: 2}}
	if want := Desired(o, nil, &pin, node); want != 1 {
		t.Errorf("unpinned, before the rollout has come to it, it should have %d", want)
	}
	for _, open := range []int{0, 1} {
		p := &Progress{Order: "a", Phase: Halted, Waves: [][]string{{"a"}, {"b"}}, Open: open}
		o.Halted = true
		if want := Desired(o, p, &pin, node); want != uint64(1-open) {
			t.Errorf("halted with %d waves open, it should have %d", open, want)
		}
	}
}
