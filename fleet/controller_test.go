package fleet

import (
	"testing"
	"time"

	"hotswap/internal/records"
)

// TestANodeIsNotSilentBecauseTheEnginesClockWasSetBack: what it says now has an earlier time
// than what others have said before.
func TestANodeIsNotSilentBecauseTheEnginesClockWasSetBack(t *testing.T) {
	c := newController(newNode(Config{Node: "a"}, nil), &tenure{})
	said := func(node string, at time.Time) {
		record := &records.Node{Node: node, At: at, Databases: map[string]records.Database{"catalog": {}}}
		c.tellNode(records.Change{Kind: records.ANode, Node: node, Entry: records.Entry{At: at}, Record: record})
	}
	now := time.Now()
	said("a", now.Add(time.Hour))
	said("b", now)
	if v := c.view("catalog", nil); len(v.Nodes) != 2 {
		t.Errorf("those that answer are %v", v.Nodes)
	}
}

// TestANodeIsNotSilentBecauseTheEnginesClockWasSetAhead: it ends what all have said.
func TestANodeIsNotSilentBecauseTheEnginesClockWasSetAhead(t *testing.T) {
	c := newController(newNode(Config{Node: "a"}, nil), &tenure{})
	record := &records.Node{Node: "a", Databases: map[string]records.Database{"catalog": {}}}
	c.tellNode(records.Change{Kind: records.ANode, Node: "a", Record: record})
	c.tellNode(records.Change{Kind: records.ANode, Node: "a", Gone: true, Expired: true})
	if v := c.view("catalog", nil); len(v.Nodes) != 1 {
		t.Errorf("those that answer are %v", v.Nodes)
	}
	c.tellNode(records.Change{Kind: records.ANode, Node: "a", Gone: true})
	if v := c.view("catalog", nil); len(v.Nodes) != 0 {
		t.Errorf("it has left, and those that answer are %v", v.Nodes)
	}
}

// TestANodeThatWasThereWhenTheWatchBeganIsHeardLater: it may have stopped since it has said that.
func TestANodeThatWasThereWhenTheWatchBeganIsHeardLater(t *testing.T) {
	c := newController(newNode(Config{Node: "a"}, nil), &tenure{})
	said := records.Change{Kind: records.ANode, Node: "a", Record: &records.Node{Node: "a", Databases: map[string]records.Database{"catalog": {}}}}
	c.tellNode(said)
	c.tellNode(records.Change{Kind: records.Caught})
	quiet := func() time.Duration { return c.view("catalog", nil).Nodes["a"].Quiet }
	if quiet() < time.Hour {
		t.Errorf("it was heard %v ago", quiet())
	}
	c.tellNode(said)
	if quiet() > time.Minute {
		t.Errorf("it was heard %v ago", quiet())
	}
}

// TestANodeWhoseRecordHasNotExpiredDoesNotAnswer: a controller that is new finds it, and would
// wait for it.
func TestANodeWhoseRecordHasNotExpiredDoesNotAnswer(t *testing.T) {
	c := newController(newNode(Config{Node: "a"}, nil), &tenure{})
	now := time.Now()
	for i, at := range []time.Time{now.Add(-time.Hour), now.Add(time.Hour), now.Add(-records.NodeTTL), now} {
		name := string(rune('a' + i))
		record := &records.Node{Node: name, At: at, Databases: map[string]records.Database{"catalog": {}}}
		c.tellNode(records.Change{Kind: records.ANode, Node: name, Entry: records.Entry{Revision: uint64(1 + i), At: at}, Record: record})
	}
	c.tellNode(records.Change{Kind: records.Caught})
	if v := c.view("catalog", nil); len(v.Nodes) != 2 || v.Nodes["c"].Name == "" || v.Nodes["d"].Name == "" {
		t.Errorf("those that answer are %v", v.Nodes)
	}
}
