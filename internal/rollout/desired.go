package rollout

// Desired returns the version that a node should have: 0 if it should stay with what it
// has. progress is nil as long as there is none; it counts only for its own order.
func Desired(o Order, progress *Progress, pin *Pin, node Node) uint64 {
	if pin.held() {
		return pin.Version
	}
	want := ordered(o, progress, node)
	released := pin.released(node.Have) && !brought(o, progress, node)
	if want < node.Have && !released && !o.Withdrawn(node.Have, node.Labels) {
		return 0
	}
	return want
}

// brought reports whether the node has the order's version with its wave: that it was pinned to
// it before does not count any more, be the order halted by now or not.
func brought(o Order, progress *Progress, node Node) bool {
	if progress == nil || !progress.Of(o) || !node.Has(o) {
		return false
	}
	wave, ok := progress.wave(node.Name)
	return ok && wave < progress.Open
}

// Tag returns the tag of a version that an order, which may be nil, or a pin names for a node; "" if neither
// says it.
func Tag(o *Order, pin *Pin, number uint64) string {
	switch {
	case pin.held():
		if pin.Version == number {
			return pin.Tag
		}
	case o != nil:
		return o.Tags[number]
	}
	return ""
}

// Beyond reports whether a node that the order means has a newer version, which no order has
// brought it: one that was pushed by hand. It stays with that.
func Beyond(o Order, pin *Pin, node Node) bool {
	halted := o.Kind == Rollback && o.Halted // then it may be what goes back later
	return !halted && !pin.held() && !pin.released(node.Have) && o.Selects(node.Labels) && o.Version < node.Have && !o.Withdrawn(node.Have, node.Labels)
}

// ordered returns what the order says for a node, or else those before it, whatever it has.
func ordered(o Order, progress *Progress, node Node) uint64 {
	selected := o.Selects(node.Labels)
	switch {
	case selected && o.Kind == Rollback && (!o.Halted || node.Have == 0 || node.Have == o.Version):
		return o.Version // halted, for those that have gone back, or have nothing to stay with
	case selected && opened(o, progress, node):
		return o.Version
	}
	return o.before(node)
}

// opened reports whether the node may swap the order's version in.
func opened(o Order, progress *Progress, node Node) bool {
	if progress == nil || !progress.Of(o) || o.Halted || progress.Phase == Halted {
		return false
	}
	if _, failed := node.failed(o); failed || progress.HasFailed(node.Name) {
		return false
	}
	if wave, ok := progress.wave(node.Name); ok {
		return wave < progress.Open
	}
	return progress.Phase == Done
}

// Ahead returns the version that a node should prepare although it may not swap it in yet;
// 0 if there is none.
func Ahead(o Order, progress *Progress, pin *Pin, node Node) uint64 {
	if pin.held() || o.Kind != Rollout || o.Halted || !o.Selects(node.Labels) {
		return 0
	}
	if _, failed := node.failed(o); failed {
		return 0
	}
	if progress != nil && progress.Of(o) && (progress.Phase == Halted || progress.HasFailed(node.Name)) {
		return 0
	}
	if node.Have >= o.Version && !o.Withdrawn(node.Have, node.Labels) {
		return 0
	}
	return o.Version
}
