package rollout

import (
	"fmt"
	"slices"
	"time"
)

// View is what a controller sees.
type View struct {
	// Nodes are those that answer and have a database of the channel, by name.
	Nodes map[string]Node
	// Settled is set once the controller has watched for as long as a node may be quiet:
	// until then, one that is not among Nodes may just not have been heard yet.
	Settled bool
	// Lasted is for how long, at least, the progress has been in its phase: as far as the controller
	// knows, by its own clock. (The engine's may be set ahead, and then a soak would be none.)
	Lasted time.Duration
}

// Step returns the progress that follows p, which is nil if there is none yet, and whether
// it differs. It goes one step: call it again once that is written.
func Step(p *Progress, o Order, view View) (Progress, bool) {
	if p == nil || p.Order != o.ID {
		return Progress{Order: o.ID, Attempt: o.Attempt, Phase: Preparing}, true
	}
	if p.Attempt != o.Attempt {
		next := Progress{Order: o.ID, Attempt: o.Attempt, Waves: p.Waves, Open: p.Open}
		return next.enter(Preparing, ""), true
	}
	s := stepper{o: o, view: view, p: *p}
	s.step()
	return s.p, !same(*p, s.p)
}

// same leaves Since out: it only changes with the phase, or is filled in by At.
func same(a, b Progress) bool {
	return a.Phase == b.Phase && a.Open == b.Open && a.Reason == b.Reason && len(a.Waves) == len(b.Waves) &&
		slices.Equal(a.Failed, b.Failed) && slices.Equal(a.Silent, b.Silent)
}

type stepper struct {
	o    Order
	view View
	p    Progress
}

func (s *stepper) step() {
	if s.p.Phase == Halted {
		s.countMore()
	}
	if s.p.Phase == Done || s.p.Phase == Halted {
		return
	}
	if len(s.p.Waves) == 0 && !s.fix() {
		return
	}
	s.count()
	switch {
	case s.o.Halted:
		s.p = s.p.enter(Halted, ByOperator)
	case s.o.Kind == Rollout && len(s.p.Failed) > s.o.MaxFailed:
		s.p = s.p.enter(Halted, s.tooMany())
	case s.p.Phase == Preparing:
		s.prepare()
	case s.p.Phase == Swapping:
		s.swap()
	case s.p.Phase == Soaking && s.in(s.o.Soak):
		if s.stayed(s.in(s.o.Soak+s.o.Patience())) && s.heard() {
			s.open()
		}
	case s.p.Phase == Awaiting && s.approved():
		if s.reached("stay in order", false) {
			s.open()
		}
	}
}

// in reports whether the phase has lasted for so long.
func (s *stepper) in(d time.Duration) bool { return s.view.Lasted >= d }

// fix divides the nodes into waves.
func (s *stepper) fix() bool {
	var names []string
	pinned := 0
	for name, node := range s.view.Nodes {
		switch {
		case !s.o.Selects(node.Labels):
		case node.Pinned != 0:
			pinned++
		default:
			names = append(names, name)
		}
	}
	switch {
	case s.o.Halted:
		s.p = s.p.enter(Halted, ByOperator)
		return false
	case !s.view.Settled: // nodes that have not been heard yet belong into waves, too
		s.p.Reason = "the controller is new, and is finding out which nodes answer"
		return false
	case len(names) == 0 && pinned > 0:
		s.p.Reason = AllPinned
		return false
	case len(names) == 0:
		s.p.Reason = "no node that is selected answers"
		return false
	}
	s.p.Waves = s.o.plan(names)
	if s.o.Kind == Rollback {
		s.p.Waves = [][]string{slices.Concat(s.p.Waves...)}
	}
	s.p.Reason = ""
	return true
}

// count brings the lists of those that failed and those that are silent up to date.
func (s *stepper) count() {
	s.p.Failed = slices.Clone(s.p.Failed)
	var silent []string
	for _, name := range slices.Concat(s.p.Waves...) {
		node, answers := s.view.Nodes[name]
		if !answers {
			silent = append(silent, name)
		} else if why, failed := node.failed(s.o); failed && node.Pinned == 0 {
			s.fail(name, why)
		}
	}
	if s.view.Settled {
		s.p.Silent = silent
	}
}

// countMore adds those that have failed at the same time as the one at which it was halted.
func (s *stepper) countMore() {
	tooMany := s.p.Reason == s.tooMany()
	s.p.Failed = slices.Clone(s.p.Failed)
	for _, name := range slices.Concat(s.p.Waves...) {
		if why, failed := s.view.Nodes[name].failed(s.o); failed && s.view.Nodes[name].Pinned == 0 {
			s.fail(name, why)
		}
	}
	if tooMany {
		s.p.Reason = s.tooMany()
	}
}

// mostReasons is how many nodes a progress says why they have failed: thousands would make it
// larger than the engine takes.
const mostReasons = 100

func (s *stepper) fail(name, why string) {
	if len(s.p.Failed) >= mostReasons {
		why = ""
	}
	if !s.p.HasFailed(name) {
		s.p.Failed = append(s.p.Failed, Failed{name, why})
	}
}

// tooMany leaves out who failed, and why: that is in Failed, and what the nodes say themselves.
func (s *stepper) tooMany() string {
	nodes := "nodes"
	if len(s.p.Failed) == 1 {
		nodes = "node"
	}
	return fmt.Sprintf("%d %s failed, and --max-failed is %d", len(s.p.Failed), nodes, s.o.MaxFailed)
}

// prepare opens the first wave once every node that answers is ready or has failed.
func (s *stepper) prepare() {
	all := slices.Concat(s.p.Waves...)
	switch {
	case s.o.Kind == Rollback:
		s.advance(len(s.p.Waves))
	case s.waitFor(all, all, "prepare", s.in(s.o.Patience()), func(n Node) bool { return n.ready(s.o) }):
		// Resumed, it goes on where it was, without those that don't answer now.
		open := max(s.p.Open, 1)
		s.p.Open, s.p.Skipped = 0, nil
		s.advance(open)
	}
}

// advance opens waves up to that number. Those that don't answer then are not waited for.
func (s *stepper) advance(open int) {
	s.p.Skipped = slices.Clone(s.p.Skipped)
	for _, name := range slices.Concat(s.p.Waves[s.p.Open:open]...) {
		if _, answers := s.view.Nodes[name]; !answers {
			s.p.Skipped = append(s.p.Skipped, name)
		}
	}
	s.p.Open = open
	s.p = s.p.enter(Swapping, "")
}

// swap ends when the open waves have the version.
func (s *stepper) swap() {
	switch {
	case !s.reached(s.o.moves(), s.in(s.o.Patience())):
	case s.o.Soak > 0 && s.o.Kind == Rollout:
		s.p = s.p.enter(Soaking, "")
	default:
		s.open()
	}
}

// open opens the next wave; after the last one, the order is done.
func (s *stepper) open() {
	switch {
	case s.p.Open >= len(s.p.Waves):
		s.p = s.p.enter(Done, "")
	case !s.approved():
		s.p = s.p.enter(Awaiting, fmt.Sprintf("wave %d of %d has to be approved", s.p.Open+1, len(s.p.Waves)))
	default:
		s.advance(s.p.Open + 1)
	}
}

func (s *stepper) approved() bool { return s.o.Approved(s.p.Open) }

// reached reports whether the nodes of the open waves have the version and are in order, or
// have failed to be. For one that stops answering a rollback does not wait: it is the version
// before that may have been its end.
func (s *stepper) reached(what string, late bool) bool {
	return s.reach(what, late, func(n Node) bool {
		return n.knows(s.o) && n.there(s.o)
	})
}

// stayed reports whether they have found themselves in order after the soak: one that was
// stopped for all of it has been asked nothing meanwhile.
func (s *stepper) stayed(late bool) bool {
	return s.reach("stay in order", late, func(n Node) bool {
		return n.there(s.o) && s.view.Lasted-n.Quiet-n.Agreed >= s.o.Soak
	})
}

func (s *stepper) reach(what string, late bool, far func(Node) bool) bool {
	names := slices.Concat(s.p.Waves[:s.p.Open]...)
	skip := s.p.Skipped
	if s.o.Kind == Rollback {
		skip = names
	}
	return s.waitFor(names, skip, what, late, far)
}

// heard reports whether all nodes of the open waves that answer have said after the soak that
// they are as they are: one that has stopped is not silent at once.
func (s *stepper) heard() bool {
	return !slices.ContainsFunc(slices.Concat(s.p.Waves[:s.p.Open]...), func(name string) bool {
		node, answers := s.view.Nodes[name]
		return answers && s.view.Lasted-node.Quiet < s.o.Soak
	})
}

// waitFor reports whether each of the nodes is so far, or has failed; those that are to be
// skipped are only waited for if they answer. One that is pinned, or has other labels since
// it was started again, is not meant any more. Once it is late, those that are not so far
// fail. With nobody there it waits: a wave that nobody has seen proves nothing.
func (s *stepper) waitFor(names, skip []string, what string, late bool, far func(Node) bool) bool {
	waiting, counted, pinned := 0, 0, 0
	for _, name := range names {
		node, answers := s.view.Nodes[name]
		switch {
		case s.p.HasFailed(name):
			counted++
		case node.Pinned != 0:
			pinned++
		case !answers && s.view.Settled && slices.Contains(skip, name), answers && !s.o.Selects(node.Labels):
		case answers && far(node):
			counted++
		default:
			waiting++
			if late && answers {
				s.fail(name, fmt.Sprintf("took longer than %v to %s%s", s.o.Patience(), what, node.Hook.text()))
			} else if late && s.view.Settled {
				s.fail(name, "has stopped answering since its wave opened")
			}
		}
	}
	s.p.Reason = ""
	if waiting == 0 && counted == 0 {
		s.p.Reason = fmt.Sprintf("no node answers that is to %s", what)
		if pinned > 0 {
			s.p.Reason = AllPinned
		}
		if late {
			s.p = s.p.enter(Halted, s.p.Reason)
		}
	}
	return waiting == 0 && counted > 0
}
