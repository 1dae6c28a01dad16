package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// world is a fleet in which whatever can happen does: nodes fail, are silent and come back
// with their memory lost, look at old records, controllers stop between reading and
// writing, and operators change their minds.
type world struct {
	t   *testing.T
	rng *rand.Rand
	now time.Time

	order    *Order
	progress *Progress
	written  time.Time // of the progress
	revision int       // of the progress
	orders   int
	newest   uint64             // version that was ordered
	named    map[uint64][]Order // that were of the version
	soaking  time.Time          // when the phase was written

	nodes       []*member
	controllers []*controller
	calm        bool // nothing fails any more
}

// member is a node.
type member struct {
	Node
	up       bool
	order    *Order // as it has seen them
	progress *Progress
	revision int
	pin      *Pin
	before   uint64 // the version it had before, to go back to
	heard    Node   // what the controllers have heard of it
	heardAt  time.Time
	audible  bool
}

// controller reads, and later writes by compare-and-swap, unless it is stopped between.
type controller struct {
	read     bool
	order    Order
	progress *Progress
	revision int
	view     View
	entered  Entered // the phase that it has seen, and since when
	since    time.Time
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1e9, 0), named: map[uint64][]Order{}}
	w.controllers = []*controller{{}, {}}
	for i := range 1 + w.rng.IntN(8) {
		m := &member{up: true, Node: Node{Name: fmt.Sprintf("web-%d", i), Labels: map[string]string{"half": fmt.Sprint(i % 2)}}}
		w.nodes = append(w.nodes, m)
	}
	return w
}

func (w *world) chance(percent int) bool { return w.rng.IntN(100) < percent }

// tick does one thing that may happen.
func (w *world) tick() {
	w.now = w.now.Add(time.Duration(w.rng.IntN(500)) * time.Millisecond)
	switch n := w.rng.IntN(100); {
	case n < 2 && !w.calm:
		w.operate()
	case n < 60:
		w.live(w.nodes[w.rng.IntN(len(w.nodes))])
	default:
		w.control(w.controllers[w.rng.IntN(len(w.controllers))])
	}
}

// operate is an operator changing an order or a pin.
func (w *world) operate() {
	if w.order == nil || w.chance(40) {
		plan := Plan{Canary: w.rng.IntN(3), MaxFailed: w.rng.IntN(2), Approve: w.chance(20), Timeout: time.Minute}
		if w.chance(50) {
			plan.Waves, plan.Soak = []int{10, 50}, 3*time.Second
		}
		if w.chance(20) {
			plan.Select = map[string]string{"half": fmt.Sprint(w.rng.IntN(2))}
		}
		done := w.progress != nil && w.order != nil && w.progress.Of(*w.order) && w.progress.Phase == Done
		// Every other number is published, and never ordered.
		o, err := NewRollout(fmt.Sprint("order-", w.orders), "catalog", w.newest+2*uint64(w.rng.IntN(2)), plan, w.order, done)
		if w.newest == 0 || err != nil {
			o, err = NewRollout(fmt.Sprint("order-", w.orders), "catalog", w.newest+2, plan, w.order, done)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		w.put(o)
		return
	}
	switch w.rng.IntN(7) {
	case 0:
		to := uint64(0)
		if w.chance(50) { // or further
			to = 2 * (1 + uint64(w.rng.IntN(int(w.newest/2))))
		}
		if o, err := NewRollback(fmt.Sprint("order-", w.orders), to, *w.order); err == nil {
			w.put(o)
		}
	case 1:
		w.put(w.order.Halt())
	case 2:
		w.put(w.order.Resume())
	case 3:
		if w.progress != nil {
			w.put(w.order.Allow(w.progress.Open))
		}
	case 4:
		w.nodes[w.rng.IntN(len(w.nodes))].pin = &Pin{Version: 2 * (1 + uint64(w.rng.IntN(int(w.newest/2))))}
	case 5:
		if m := w.nodes[w.rng.IntN(len(w.nodes))]; m.pin != nil {
			p := Pin{}.After(m.pin)
			m.pin = &p
		}
	case 6: // somebody pushes a version that was published, and never ordered
		m := w.nodes[w.rng.IntN(len(w.nodes))]
		m.Have, m.Healthy = w.newest+1, w.newest+1
	}
}

func (w *world) put(o Order) {
	w.orders++
	w.order, w.newest = &o, max(w.newest, o.Version)
	w.named[o.Version] = append(w.named[o.Version], o)
}

// live is a node at work.
func (w *world) live(m *member) {
	if !m.up {
		if w.calm || w.chance(20) {
			// What it remembers of orders, and of what it has prepared, is lost.
			m.up, m.order, m.progress, m.revision, m.Failed, m.Prepared = true, nil, nil, 0, nil, 0
		}
		return
	}
	if !w.calm && w.chance(3) {
		m.up, m.audible = false, false
		if w.chance(20) {
			m.Have, m.Healthy, m.before = 0, 0, 0 // and so is its disk
		}
		return
	}
	if m.order == nil || w.chance(50) {
		m.order, m.progress, m.revision = w.order, w.progress, w.revision
	}
	if m.order != nil {
		w.act(m)
	}
	if w.calm || w.chance(70) {
		m.heard, m.audible = m.Node, true
		m.heardAt = w.now
	}
}

// act is what a node does about what it has seen.
func (w *world) act(m *member) {
	o := *m.order
	m.Pinned = 0
	if m.pin != nil {
		m.Pinned = m.pin.Version
	}
	fail := func(why string) { m.Failed = &Failure{o.ID, o.Attempt, o.Version, why} }
	if ahead := Ahead(o, m.progress, m.pin, m.Node); ahead != 0 && m.Prepared != ahead && w.chance(50) {
		if m.Prepared = ahead; !w.calm && w.chance(5) {
			m.Prepared = 0
			fail("disk full")
		}
		return
	}
	if m.Have != 0 && m.Have != m.Healthy {
		if m.Healthy = m.Have; !w.calm && m.Have == o.Version && w.chance(10) {
			fail("not in order")
			m.Have, m.Healthy = m.before, m.before // by itself
			return
		}
	}
	want := Desired(o, m.progress, m.pin, m.Node)
	if want < m.Have && want != 0 {
		// Going back is asked again, of what is so now.
		m.order, m.progress, m.revision = w.order, w.progress, w.revision
		o = *m.order
		want = Desired(o, m.progress, m.pin, m.Node)
	}
	if want == 0 || want == m.Have {
		return
	}
	w.swapped(m, o, want)
	m.before, m.Have, m.Healthy = m.Have, want, 0
}

// control is a controller that reads, or writes what it has read before.
func (w *world) control(c *controller) {
	if w.order == nil {
		return
	}
	if !c.read || w.chance(20) { // started anew, between the two
		view := View{Nodes: map[string]Node{}, Settled: w.calm || w.chance(80)}
		for _, m := range w.nodes {
			if m.audible {
				n := m.heard
				n.Quiet = w.now.Sub(m.heardAt)
				view.Nodes[m.Name] = n
			}
		}
		*c = controller{read: true, order: *w.order, revision: w.revision, view: view, entered: c.entered, since: c.since}
		if w.progress != nil {
			p := w.progress.At(w.written)
			c.progress = &p
			if c.entered != p.Entered() || !w.calm && w.chance(5) { // or its memory is lost
				c.entered, c.since = p.Entered(), w.now
			}
			c.view.Lasted = w.now.Sub(c.since)
		}
		return
	}
	c.read = false
	next, changed := Step(c.progress, c.order, c.view)
	if !changed || c.revision != w.revision {
		return
	}
	w.stepped(c, next)
	w.progress, w.written = &next, w.now
	w.revision++
}

// settle ends the disturbances and goes on until the order is done or halted.
func (w *world) settle() {
	w.calm = true
	if w.order == nil {
		return
	}
	if w.order.Halted || w.order.Approve {
		w.put(func() Order { o := w.order.Resume(); o.Approve = false; return o }())
	}
	// Where everybody is pinned it waits, and says so.
	pinned := func(m *member) bool { return !w.order.Selects(m.Labels) || m.pin != nil && m.pin.Version != 0 }
	ended := func() bool {
		if !slices.ContainsFunc(w.nodes, func(m *member) bool { return !pinned(m) }) {
			return true
		}
		return w.progress != nil && w.progress.Of(*w.order) && (w.progress.Phase == Done || w.progress.Phase == Halted)
	}
	for i := 0; !ended(); i++ {
		if i > 20_000 {
			w.t.Fatalf("neither done nor halted: %+v of %+v", w.progress, w.order)
		}
		w.tick()
	}
	for range 200 * len(w.nodes) {
		w.tick()
	}
	if w.progress == nil || w.progress.Phase != Done {
		return
	}
	for _, m := range w.nodes {
		pinned, byHand := m.pin != nil, m.Have%2 == 1 && m.Have > w.order.Version
		if w.order.Selects(m.Labels) && !pinned && !byHand && !w.progress.HasFailed(m.Name) && m.Failed == nil && m.Have != w.order.Version {
			w.t.Fatalf("%s has %d at the end of %+v", m.Name, m.Have, w.order)
		}
	}
}
