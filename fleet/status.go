package fleet

import (
	"cmp"
	"time"
)

// Status is how a node is.
type Status struct {
	Node string `json:"node"`
	// Connected says whether the engine is connected, tells of orders, and takes what the node
	// says, and Away, if not, what is wrong.
	Connected bool   `json:"connected"`
	Away      string `json:"away,omitempty"`
	// Twin names another program that has joined under the same name.
	Twin string `json:"twin,omitempty"`
	// Controller is set while this node opens the waves.
	Controller bool                      `json:"controller"`
	Databases  map[string]DatabaseStatus `json:"databases"`
}

// DatabaseStatus is how a node stands with the database of a channel.
type DatabaseStatus struct {
	Path string `json:"path"`
	// Version is what is live, 0 if that is not a published version, and Content what is
	// to be said of it, such as that it was written to.
	Version uint64 `json:"version"`
	Content string `json:"content,omitempty"`
	// Phase is what the node is doing: idle, looking, fetching, checking, prepared, swapping,
	// going back.
	Phase    string `json:"phase"`
	Prepared uint64 `json:"prepared,omitempty"`
	Pinned   uint64 `json:"pinned,omitempty"`
	// Failed is why the node does not follow the latest order, Error what is being tried
	// again.
	Failed string `json:"failed,omitempty"`
	Error  string `json:"error,omitempty"`
	// Hook is the program's function that does not return: Validate, Health or OnSwap; and
	// HookSince when it was called.
	Hook      string    `json:"hook,omitempty"`
	HookSince time.Time `json:"hook_since,omitzero"`
	// Refused is why the node does not obey the latest order, or pin, and obeys the one before:
	// it is not signed with one of TrustedKeys, or is older.
	Refused string `json:"refused,omitempty"`
	// Fetched of Size bytes are there, of which Bytes have travelled.
	Fetched int64 `json:"fetched,omitempty"`
	Size    int64 `json:"size,omitempty"`
	Bytes   int64 `json:"bytes,omitempty"`
	// Swaps counts those of this run, Swapped is when the last one was, and Pause how long
	// calls waited.
	Swaps   uint64        `json:"swaps"`
	Swapped time.Time     `json:"swapped,omitzero"`
	Pause   time.Duration `json:"pause_ns,omitempty"`
	// TotalBytes is what has travelled in this run, and Failures how often something failed.
	TotalBytes int64  `json:"total_bytes"`
	Failures   uint64 `json:"failures"`
}

// Status returns how the node is now.
func (n *Node) Status() Status {
	n.mu.Lock()
	s := Status{Node: n.cfg.Node, Away: cmp.Or(n.away, n.mute), Twin: n.twin, Controller: n.controller,
		Databases: map[string]DatabaseStatus{}}
	reached := n.plane != nil
	n.mu.Unlock()
	s.Connected = reached && n.connected() && s.Away == ""
	if !s.Connected && s.Away == "" {
		s.Away = "the connection is lost"
	}
	for channel, d := range n.databases {
		s.Databases[channel] = d.status()
	}
	return s
}

func (d *database) status() DatabaseStatus {
	now := d.current()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := DatabaseStatus{Path: now.Path, Version: now.Have, Content: now.Content, Phase: string(now.Phase), Prepared: now.Prepared,
		Pinned: now.Pinned, Error: now.Error, Fetched: now.Fetched, Size: now.Size, Bytes: now.Bytes,
		Swapped: now.Swapped, Pause: now.Pause, Swaps: d.swaps, TotalBytes: d.totalBytes, Failures: d.failures}
	if now.Failed != nil {
		s.Failed = now.Failed.Why
	}
	if h := d.hook(); h != nil {
		s.Hook, s.HookSince = h.Name, h.Since
	}
	if s.Refused = now.RefusedPin; now.Refused != nil {
		s.Refused = now.Refused.Why
	}
	return s
}
