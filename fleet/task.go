package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"hotswap/internal/printable"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/internal/trust"
	"hotswap/swapper"
)

// task is something to be done; equal ones are the same.
type task struct {
	do      what
	version uint64
	tag     string // of the version, "" if whoever wants it does not say
	order   string
	attempt int
}

type what int

const (
	nothing what = iota
	look         // at what is live
	prepare      // a version, ahead of its wave
	bring        // a version to life
	drop         // what was prepared, and is not wanted any more
	ask          // Health
	settle       // for what is live: the way back is given up
)

// idle is how long nothing has to be looked at if nothing changes.
const idle = time.Minute

// forgive is when a node that comes late tries again what has failed.
const forgive = 30 * time.Second

// next is what is to be done now, and when to think again if nothing changes.
func (d *database) next() (t task, in time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, o, p := d.view, d.view.order, d.view.progress
	switch {
	case !v.caught:
		return task{}, idle
	case !d.known:
		return task{do: look}, idle
	}
	named := func(number uint64) string { return rollout.Tag(o, v.pin, number) }
	if d.another(named(d.state.Have)) {
		d.doubt()
		return task{do: look}, idle
	}
	pinned := uint64(0)
	if v.pin != nil {
		pinned = v.pin.Version
	}
	repinned := pinned != d.state.Pinned
	if repinned {
		d.state.Pinned = pinned
		d.node.changed()
	}
	held := pinned != 0 && pinned == d.state.Have && !d.sick
	if f := d.state.Failed; f != nil && (o == nil || !f.Of(*o) || repinned || held) {
		d.state.Failed = nil // it counts for its order alone, and until that is resumed, or does not concern the node
		d.node.changed()
	}
	if o != nil {
		t.order, t.attempt = o.ID, o.Attempt
	} else if d.state.Pinned == 0 {
		d.rest()
		return task{}, idle
	}
	d.noteWritten(t.order)
	if o != nil && d.state.Knows != o.ID && (d.noticedUnder == o.ID || !d.exact()) {
		d.state.Knows = o.ID
		d.node.changed()
	}
	me := d.me()
	stays := d.staying(o, v.pin, me)
	if stays != d.stays || stays != "" && d.state.Failed == nil {
		d.stays, d.state.Failed = stays, nil
		if stays != "" {
			d.state.Failed = &rollout.Failure{Order: o.ID, Attempt: o.Attempt, Version: o.Version, Why: stays}
		}
		me = d.me()
		d.node.changed()
	}
	in = idle
	if d.state.Failed != nil && !d.sick && stays == "" && p != nil && p.Phase == rollout.Done {
		if in = time.Until(d.failedAt.Add(forgive)); in <= 0 {
			d.state.Failed, in = nil, idle
		}
	}
	if d.lost && o != nil && o.ID != d.lostUnder && d.state.Have == o.Version && d.state.Content == "" {
		d.lost = false // what was ordered anew is live
	}
	want, ahead := d.state.Pinned, uint64(0)
	if o != nil {
		want, ahead = rollout.Desired(*o, p, v.pin, me), rollout.Ahead(*o, p, v.pin, me)
		if d.lost && d.state.Pinned == 0 && (o.ID == d.lostUnder || want != o.Version) {
			want = 0 // no order before knows what is live: it would go back
		}
	}
	switch have := d.state.Have; {
	case want != 0 && want != have && !(ahead != 0 && d.givenUp(t, want)):
		t.do, t.version, t.tag = bring, want, named(want)
	case ahead != 0 && (d.state.Prepared != ahead || named(ahead) != "" && named(ahead) != d.ready):
		t.do, t.version, t.tag = prepare, ahead, named(ahead)
	case d.state.Prepared != 0 && (d.state.Prepared == have || o == nil || o.Kind != rollout.Rollout || d.state.Prepared != o.Version):
		t.do, t.version = drop, d.state.Prepared
	case have != 0 && d.state.Healthy != have:
		t.do, t.version = ask, have
	case have != 0 && d.soaks():
		// At the end of a soak it is waited for an answer.
		next := time.Until(d.asked.Add(min(d.node.cfg.HealthInterval, max(o.Soak, time.Second))))
		if next > 0 {
			return task{}, min(next, in)
		}
		t.do, t.version = ask, have
	case d.holds && d.settled():
		t.do, t.version = settle, have
	default:
		d.rest()
		return task{}, in
	}
	return t, in
}

// rest forgets what would be tried again if it were still to be done. d.mu is held.
func (d *database) rest() {
	if d.state.Failed == nil && d.state.Error != "" {
		d.state.Error = ""
		d.node.changed()
	}
}

// noteWritten notes under which order it was found that what is live was written to. d.mu is held.
func (d *database) noteWritten(order string) {
	under := d.state.WrittenUnder
	switch {
	case d.state.Content == "" || d.node.cfg.Diverged == Replace:
		under = ""
	case under == "":
		under = order
	}
	if under != d.state.WrittenUnder {
		d.state.WrittenUnder = under
		d.node.changed()
	}
}

// staying says why a node does not follow an order that it could follow: it has what is newer.
// d.mu is held.
func (d *database) staying(o *rollout.Order, pin *rollout.Pin, me rollout.Node) string {
	switch {
	case o == nil || d.state.Pinned != 0:
	case rollout.Beyond(*o, pin, me):
		return fmt.Sprintf("it has %s, which is newer, and no node goes back but by a rollback or a pin (`hotswap fleet pin %s %s`, and then unpin)",
			d.version(d.state.Have), d.node.cfg.Node, d.version(o.Version))
	case d.state.Have == o.Version && !me.Has(*o) && me.WrittenUnder != "" && o.Selects(me.Labels):
		return diverged(d.state.Content).Error() // what is ordered anew is the version, and not what was made of it
	case !d.lost || o.ID != d.lostUnder || !o.Selects(me.Labels):
	case d.state.Content == "":
		if want := rollout.Desired(*o, d.view.progress, pin, me); want != 0 && want != d.state.Have {
			return fmt.Sprintf("the engine is from an older copy, which does not know that the node has come to %s since: order anew what it is to have",
				d.version(d.state.Have))
		}
	default:
		return "what is live is of an engine that was lost, and not a version of " + d.channel + " that this one has: publish it, and roll that out"
	}
	return ""
}

// another reports whether what is live was found to be another version of that number than is
// named now. That is looked at anew, once: the engine may count anew, and the node not have
// noticed. d.mu is held.
func (d *database) another(tag string) bool {
	if tag == "" || d.state.Tag == "" || tag == d.state.Tag || tag == d.doubted {
		return false
	}
	d.doubted = tag
	return true
}

// givenUp reports whether a version that the node should have until its wave opens could not be
// had: that must not keep it from preparing the one that is ordered, or a fleet whose nodes
// have all lost what they had could never get another.
func (d *database) givenUp(t task, version uint64) bool {
	t.do, t.version, t.tag = bring, version, rollout.Tag(d.view.order, d.view.pin, version)
	return d.stuck == t && version != d.view.order.Version
}

// soaks reports whether the live version is being rolled out, so that Health is asked again
// and again.
func (d *database) soaks() bool {
	o, p := d.view.order, d.view.progress
	return d.node.cfg.Health != nil && d.state.Failed == nil && o != nil && o.Version == d.state.Have && o.Kind == rollout.Rollout &&
		p != nil && p.Of(*o) && p.Phase != rollout.Done && p.Phase != rollout.Halted
}

// settled reports whether the live version, of which Health has said that the program is in
// order with it, is not gone back from any more, but by another order.
func (d *database) settled() bool {
	o, p := d.view.order, d.view.progress
	return d.state.Pinned != 0 || o == nil || o.Kind != rollout.Rollout || p != nil && p.Of(*o) && p.Phase == rollout.Done
}

// do does a task.
func (d *database) do(ctx context.Context, t task) error {
	if d.unsaid != nil && t.do != look {
		d.writeDown(ctx, *d.unsaid)
	}
	switch t.do {
	case look:
		return d.look(ctx)
	case prepare:
		return d.prepare(ctx, t.version, t.tag)
	case bring:
		return d.bring(ctx, t.version, t.tag)
	case drop:
		d.discard()
	case ask:
		return d.ask(ctx, t.version)
	case settle:
		d.settle()
	}
	return nil
}

// errDiverged: the live database is not what was published.
var errDiverged = errors.New("diverged")

// refusals are errors for which to try again is of no use, before something is done about
// them.
var refusals = []error{errDiverged, errSick,
	swapper.ErrBadDatabase, swapper.ErrSchema, swapper.ErrConstraint, swapper.ErrChanged, swapper.ErrNotPermitted, swapper.ErrNoSpace, swapper.ErrTarget,
	trust.ErrUntrusted, repository.ErrManifest, repository.ErrNotPublished, repository.ErrNoObjects, repository.ErrObjectsForbidden}

// errAnother: the engine has something else under a number than what was ordered by it.
var errAnother = errors.New("is not what was ordered")

// damages are refusals of one version: whoever is still to have another one may have the one
// that is ordered.
var damages = []error{errAnother, repository.ErrChunk, repository.ErrIndex, repository.ErrPack}

// refused reports whether a task has failed in such a way that the node can't follow the order.
func refused(t task, err error, o *rollout.Order) bool {
	is := func(kind error) bool { return errors.Is(err, kind) }
	switch {
	case o == nil || t.order != o.ID:
		return false
	case t.version == o.Version:
		return slices.ContainsFunc(refusals, is) || slices.ContainsFunc(damages, is)
	}
	// To be sick with a version that is not the order's is no reason not to take that.
	return t.do != ask && slices.ContainsFunc(refusals, is)
}

// ended takes down how a task has ended.
func (d *database) ended(t task, err error) {
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	phase := records.Idle
	d.change(func(s *records.Database) {
		if s.Prepared != 0 {
			phase = records.Prepared
		}
		s.Phase, s.Error = phase, ""
		if err == nil {
			return
		}
		d.failures++
		d.stuck = t
		d.failedAt, d.sick = time.Now(), errors.Is(err, errSick)
		s.Error = printable.Line(err.Error())
		if o := d.view.order; refused(t, err, o) {
			s.Failed = &rollout.Failure{Order: o.ID, Attempt: t.attempt, Version: o.Version, Why: s.Error}
		}
	})
	if err != nil {
		event := d.log.Warn().Err(err)
		if t.version != 0 {
			event = event.Stringer("version", d.version(t.version))
		}
		event.Msg("failed")
	}
}

func (d *database) phase(phase records.Phase) {
	d.change(func(s *records.Database) { s.Phase = phase })
}
