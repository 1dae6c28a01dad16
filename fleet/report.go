package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"hotswap/internal/records"
)

// reportRest is the least time between two reports.
const reportRest = 50 * time.Millisecond

// report says how the node is: when that changes, and often enough to be taken for alive.
func (n *Node) report() {
	renewal := time.NewTicker(records.Renewal)
	defer renewal.Stop()
	said := saying{others: map[string]int{}}
	n.again("say how the node is", func(ctx context.Context) error {
		// An answer that was lost with the connection is not waited for once that is back.
		ctx, cancel := n.forWatch(ctx, resync)
		defer cancel()
		for {
			each, cancel := context.WithTimeout(ctx, records.NodeTTL)
			err := n.say(each, &said)
			if err == nil && time.Since(said.joined) > records.JoinedRenewal {
				if err = n.planeNow().PutJoined(each, n.joined()); err == nil {
					said.joined = time.Now()
				}
			}
			cancel()
			if ctx.Err() != nil {
				return nil
			}
			n.setMute(err)
			if err != nil {
				return err
			}
			sleep(n.ctx, reportRest)
			select {
			case <-n.dirty:
			case <-renewal.C:
			case <-ctx.Done():
				return nil
			}
		}
	})
}

// saying is what a node remembers between two reports.
type saying struct {
	last   records.Entry
	others map[string]int // how often another program of this name has written, by instance
	met    time.Time      // when that was last noticed
	joined time.Time      // when it was said that it has joined
}

// say writes the node's record. If there is another one than was written last, it is looked
// whose.
func (n *Node) say(ctx context.Context, s *saying) (err error) {
	plane, began := n.planeNow(), time.Now()
	defer func() {
		if err == nil {
			n.spoke.Store(&began)
		}
	}()
	over := s.last
	s.last = records.Entry{}
	if time.Since(s.met) > 2*records.NodeTTL {
		n.setTwin("")
	}
	if s.last, err = plane.PutNode(ctx, n.record(), over); !errors.Is(err, records.ErrChanged) {
		return err
	}
	other, err := plane.Node(ctx, n.cfg.Node)
	if err != nil {
		return err
	}
	if other != nil && other.Instance != n.instance { // and not what this one has written, whose answer was lost
		s.met = time.Now()
		if s.others[other.Instance]++; s.others[other.Instance] == 2 { // once may be the run before
			n.log.Error().Int("pid", other.PID).Str("host", other.Host).Msg("another program has joined under this node's name: give each its own")
		}
		if s.others[other.Instance] >= 2 {
			n.setTwin(fmt.Sprintf("process %d on %s", other.PID, other.Host))
		}
	}
	s.last, err = plane.PutNode(ctx, n.record(), records.Entry{})
	return err
}

// outOfTouch reports whether the engine has answered nothing for long: the node was cut off, or
// stopped, and what it was told last may have been taken back.
func (n *Node) outOfTouch() bool {
	spoke := n.spoke.Load()
	return spoke == nil || time.Since(*spoke) > n.cfg.touch
}

func (n *Node) setTwin(twin string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.twin = twin
}

// joined is what is known of the node once it has left.
func (n *Node) joined() records.Joined {
	return records.Joined{Node: n.cfg.Node, Host: n.host, PID: os.Getpid(), Labels: n.cfg.Labels, Channels: slices.Sorted(maps.Keys(n.databases))}
}

// record is what the node says of itself.
func (n *Node) record() records.Node {
	n.mu.Lock()
	r := records.Node{Node: n.cfg.Node, Instance: n.instance, Host: n.host, PID: os.Getpid(), Labels: n.cfg.Labels,
		Clock: time.Now(), Twin: n.twin, Databases: map[string]records.Database{}}
	n.mu.Unlock()
	for channel, d := range n.databases {
		now := d.current()
		now.Hook = d.hook()
		now.Agreed = d.agreedAgo()
		r.Databases[channel] = now
	}
	return r
}
