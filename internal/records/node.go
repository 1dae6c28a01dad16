package records

import (
	"time"

	"hotswap/internal/rollout"
)

// Node is what a node says of itself.
type Node struct {
	Node string `json:"node"`
	// Instance tells this run of the program from the one before, and from another program
	// of that name.
	Instance  string              `json:"instance"`
	Host      string              `json:"host,omitempty"`
	PID       int                 `json:"pid,omitempty"`
	Labels    map[string]string   `json:"labels,omitempty"`
	Clock     time.Time           `json:"clock"` // the node's, to see one that is wrong
	Twin      string              `json:"twin,omitempty"`
	Databases map[string]Database `json:"databases,omitempty"`

	// At is when the engine took the record.
	At time.Time `json:"at,omitzero"`
}

// Joined is what is known of a node once it has left: for whom it was there.
type Joined struct {
	Node     string            `json:"node"`
	Host     string            `json:"host,omitempty"`
	PID      int               `json:"pid,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Channels []string          `json:"channels,omitempty"`
}

// Left is how a node that does not answer has gone: ended says that it has said so itself, and
// else it is silent.
type Left struct {
	Ended bool
	At    time.Time // when it had not been heard for NodeTTL, if it is silent
}

// Expired reports whether a node's record of one time by the engine's clock should have expired
// at another. The clock may have been set back in between: then the record is from the future, and
// the engine keeps it for as much longer.
func Expired(written, now time.Time) bool { return now.Sub(written).Abs() > 2*NodeTTL }

// Phase is what a node is doing with a database.
type Phase string

const (
	Idle      Phase = "idle"
	Looking   Phase = "looking"  // at what the live database is
	Fetching  Phase = "fetching" // what it lacks
	Checking  Phase = "checking" // what it has fetched
	Prepared  Phase = "prepared" // and waits for its wave
	Swapping  Phase = "swapping" // it in
	GoingBack Phase = "going back"
)

// Database is how a node stands with the database of one channel.
type Database struct {
	rollout.State
	Path  string `json:"path"`
	Phase Phase  `json:"phase"`
	// Content says what is live if it is not exactly a published version.
	Content string `json:"content,omitempty"`
	// Fetched and Size are bytes of what is being fetched, Bytes those that travelled.
	Fetched int64 `json:"fetched,omitempty"`
	Size    int64 `json:"size,omitempty"`
	Bytes   int64 `json:"bytes,omitempty"`
	// RefusedPin says why the node does not obey the pin that it has been given.
	RefusedPin string `json:"refused_pin,omitempty"`
	// Error is the latest one, which is tried again.
	Error string `json:"error,omitempty"`
	// Swapped is when the live version was swapped in, by the node's clock, and Pause how
	// long calls waited.
	Swapped time.Time     `json:"swapped,omitzero"`
	Pause   time.Duration `json:"pause_ns,omitempty"`
}

// Rollout returns the node as a rollout sees it; false if it has no database of the channel.
func (n Node) Rollout(channel string) (rollout.Node, bool) {
	db, ok := n.Databases[channel]
	return rollout.Node{Name: n.Node, Labels: n.Labels, State: db.State}, ok
}
