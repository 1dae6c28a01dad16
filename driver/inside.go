package driver

import "hotswap/internal/inside"

var _ inside.Database = insider{}

// insiderFrozen is the same of a Frozen.
type insiderFrozen struct{ *Frozen }

var _ inside.Frozen = insiderFrozen{}

func init() {
	inside.Of = func(database any) inside.Database { return insider{database.(*Database)} }
	inside.OfFrozen = func(frozen any) inside.Frozen { return insiderFrozen{frozen.(*Frozen)} }
	inside.Extended = func(options any, swap inside.FreezeOptions) { options.(*FreezeOptions).swap = swap }
}

// ForgiveReplay records that nobody has checked whether session settings can be replayed.
func (f insiderFrozen) ForgiveReplay() { f.forgives = true }

// ThawThen is Thaw, and calls opened once calls flow.
func (f insiderFrozen) ThawThen(opened func(inside.Thawed)) { f.thawThen(opened) }
