package fleet

import (
	"testing"
	"time"

	"hotswap/internal/records"
)

// TestANodeIsNotSilentBecauseTheEnginesClockWasSetBack: what it says now has an earlier time
// than what others have said before.
func TestANodeIsNotSilentBecauseTheEnginesClockWasSetBack(t *testing.T) {
	c := newController(newNode(Config{Node: "a"}, nil))
	said := func(node string, at time.Time) {
		record := &records.Node{Node: node, At: at, Databases: map[string]records.Database{"catalog": {}}}
		c.tellNode(records.Change{Kind: records.ANode, Node: node, Entry: records.Entry{At: at}, Record: record})
	}
	now := time.Now()
	said("a", now.Add(time.Hour))
	said("b", now)
	if v := c.view("catalog"); len(v.Nodes) != 2 {
		t.Errorf("those that answer are %v", v.Nodes)
	}
}
