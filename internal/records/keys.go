package records

import (
	"strings"
	"time"
)

const (
	leaseKey   = "lease"
	orders     = "order."
	progresses = "progress."
	pins       = "pin."
	allWaves   = "waves."
	nodes      = "node."
	joined     = "joined."
	having     = "has."
)

const (
	// NodeTTL is how long a node that is not heard is taken to be there, and Renewal how
	// often it says so.
	NodeTTL = 10 * time.Second
	Renewal = 3 * time.Second
	// JoinedTTL is how long it is known of a node that has left that it was there, and
	// JoinedRenewal how often one that is there says it again.
	JoinedTTL     = 7 * 24 * time.Hour
	JoinedRenewal = 24 * time.Hour
	// LeaseTTL is how long a controller that is not heard remains the controller, and
	// LeaseRenewal how often it renews that. LeaseOverdue is when a lease is taken over that
	// should have expired.
	LeaseTTL     = 5 * time.Second
	LeaseRenewal = 1500 * time.Millisecond
	LeaseOverdue = 3 * LeaseTTL
	// wavesMarkerTTL is how long the engine keeps the note that waves were removed.
	wavesMarkerTTL = time.Minute
)

func orderKey(channel string) string        { return orders + channel }
func progressKey(channel string) string     { return progresses + channel }
func wavesKey(channel, name string) string  { return allWaves + channel + "." + name }
func pinKey(channel, node string) string    { return pins + channel + "." + node }
func nodeKey(node string) string            { return nodes + node }
func joinedKey(node string) string          { return joined + node }
func havingKey(node, channel string) string { return having + node + "." + channel }

// channelOf returns the channel of an order's or a progress's key.
func channelOf(key, prefix string) (string, bool) { return strings.CutPrefix(key, prefix) }
