package fleet

import (
	"context"
	"errors"
	"maps"
	"math"
	"sync"
	"time"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// controller takes the steps of all rollouts. All it knows it has read from the engine, and
// what it decides is written there before it counts. It verifies no signatures: there may be
// channels whose keys it does not know, and each node verifies the order that it obeys.
type controller struct {
	node  *Node
	term  *tenure
	wake  chan struct{}
	mu    sync.Mutex // guards what follows
	all   map[string]*channelView
	nodes map[string]heard
	last  records.Entry // of nodes, that was written last
	// caught says that all orders, and all nodes, that there were have been told; since is
	// when that was so of the nodes.
	caught struct{ orders, nodes bool }
	since  time.Time
}

// heard is what a node has said of itself, and when that was told, by this machine's clock: the
// engine's may have been set back since it took what came before.
type heard struct {
	records.Node
	at time.Time
	// listed says that it was there when the watch began, and may have been for a while.
	listed bool
}

// answers reports whether the node counts as there.
func (h heard) answers() bool { return time.Since(h.at) <= 2*records.NodeTTL }

// quiet is for how long it may have said nothing.
func (h heard) quiet() time.Duration {
	if h.listed {
		return math.MaxInt64
	}
	return time.Since(h.at)
}

// channelView is an order and its progress, as they were last read.
type channelView struct {
	order    *rollout.Order
	progress *rollout.Progress
	at       records.Entry // of the progress
	silence  time.Time     // when a step was taken that only tells which nodes are silent
	written  uint64        // the revision that was written last, which may not have been read yet
}

func newController(n *Node, term *tenure) *controller {
	return &controller{node: n, term: term, wake: make(chan struct{}, 1), all: map[string]*channelView{}, nodes: map[string]heard{}}
}

// stepRest is the least time between two looks, in which many nodes may have told something.
const stepRest = 20 * time.Millisecond

// silenceRest is the least time between two steps that only tell which nodes are silent.
const silenceRest = time.Second

// run controls until ctx ends or a watch fails.
func (c *controller) run(ctx context.Context) error {
	ctx, cancel := c.node.forWatch(ctx, 10*resync)
	defer cancel()
	plane := c.node.planeNow()
	failed := make(chan error, 2)
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel()
	watches.Go(func() { failed <- plane.WatchChannels(ctx, nil, "", c.tell) })
	watches.Go(func() { failed <- plane.WatchNodes(ctx, c.tellNode) })
	for {
		select {
		case <-c.wake:
		case err := <-failed:
			if ctx.Err() != nil {
				return nil // the watches begin anew
			}
			return err
		}
		if c.term.over() {
			return nil
		}
		if err := c.step(ctx); err != nil {
			return err
		}
		sleep(ctx, stepRest)
	}
}

func (c *controller) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *controller) channel(name string) *channelView {
	if c.all[name] == nil {
		c.all[name] = &channelView{}
	}
	return c.all[name]
}

// tell takes a change of an order, a progress or the lease, whose renewals have it think again.
func (c *controller) tell(change records.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.node.phases.saw(change)
	switch change.Kind {
	case records.Caught:
		c.caught.orders = true
	case records.AnOrder:
		c.channel(change.Channel).order = change.Order
	case records.AProgress:
		v := c.channel(change.Channel)
		v.progress, v.at = change.Progress, change.Entry
	}
	c.rouse()
}

// tellNode takes a change of a node.
func (c *controller) tellNode(change records.Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if change.Revision > c.last.Revision {
		c.last = change.Entry
	}
	switch {
	case change.Kind == records.Caught:
		maps.DeleteFunc(c.nodes, func(_ string, n heard) bool { return records.Expired(n.At, c.last.At) })
		c.caught.nodes, c.since = true, time.Now()
	case change.Gone && change.Expired && time.Since(c.nodes[change.Node].at) < records.NodeTTL/2:
		// The engine's clock was set ahead: it says that it is there, or is silent before long.
	case change.Gone:
		delete(c.nodes, change.Node)
	default:
		c.nodes[change.Node] = heard{*change.Record, time.Now(), !c.caught.nodes}
	}
	c.node.peers.Store(int64(len(c.nodes)))
	c.rouse()
}

// step takes one step of each channel that has one.
func (c *controller) step(ctx context.Context) error {
	for channel, next := range c.steps() {
		entry, err := c.node.planeNow().SetProgress(ctx, channel, next.progress, next.over)
		if errors.Is(err, records.ErrChanged) {
			continue // by another controller: it will be told
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.channel(channel).written = entry.Revision
		c.mu.Unlock()
		if last := next.before; last != nil && last.Order != next.progress.Order {
			if err := c.node.planeNow().DropWaves(ctx, channel, *last); err != nil {
				c.node.log.Debug().Err(err).Str("channel", channel).Msg("the waves of the order before are not removed")
			}
		}
		event := c.node.log.Info().Str("channel", channel).Str("phase", string(next.progress.Phase)).Int("open", next.progress.Open)
		event.Int("waves", len(next.progress.Waves)).Int("failed", len(next.progress.Failed)).Str("reason", next.progress.Reason).Msg("rollout")
	}
	return nil
}

// nextStep is a progress to be written over the one that was read.
type nextStep struct {
	before   *rollout.Progress
	progress rollout.Progress
	over     records.Entry
}

func (c *controller) steps() map[string]nextStep {
	c.mu.Lock()
	defer c.mu.Unlock()
	steps := map[string]nextStep{}
	if !c.caught.orders || !c.caught.nodes {
		return steps
	}
	for name, v := range c.all {
		if v.order == nil || v.at.Revision < v.written {
			continue
		}
		next, changed := rollout.Step(v.progress, *v.order, c.view(name, v.progress))
		if !changed {
			continue
		}
		if v.progress != nil && v.progress.DiffersInSilence(next) {
			// Every node is told of each progress, and when a rack goes its nodes go one by one.
			if time.Since(v.silence) < silenceRest {
				continue // the next renewal of the lease has it think again
			}
			v.silence = time.Now()
		}
		steps[name] = nextStep{v.progress, next, v.at}
	}
	return steps
}

// view is what there is of a channel.
func (c *controller) view(channel string, p *rollout.Progress) rollout.View {
	v := rollout.View{Nodes: map[string]rollout.Node{}, Settled: time.Since(c.since) > c.node.cfg.settle, Lasted: c.node.phases.lasted(channel, p)}
	for name, record := range c.nodes {
		// The engine tells when one expires; that may be missed.
		if !record.answers() {
			continue
		}
		if n, ok := record.Rollout(channel); ok {
			n.Quiet = record.quiet()
			v.Nodes[name] = n
		}
	}
	return v
}
