package driver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"hotswap/internal/peers"
)

// host is the part of a freeze that is about other processes: it has them do at the same
// time what drain does in this one. All its methods do nothing if there are none, and on
// nil. One goroutine uses it, that of the freeze.
type host struct {
	d       *Database
	members []*member
	apart   []Peer // who has the file and takes no part
	inPlace bool
	adopts  bool // to a file that something else put at the path
	file    peers.Inode
	unheard []*member
	inbox   chan heard
	done    chan struct{} // closed by leave
	left    bool
	n       uint64
	wants   peers.Op // the answer to the invitation
}

// member is a peer that takes part.
type member struct {
	Peer
	c       *peers.Conn
	pending bool // a question is open
	gone    bool // the connection has ended, most likely with the process
	unheard bool // it has not even answered the invitation
	silent  bool // nor the one before
	dropped bool // it did not have to take part, has not answered, and is asked nothing more
	held    []Holder
	told    bool
	file    peers.Inode // at its path, after the swap
}

// heard is what a member has said, or the end of its connection.
type heard struct {
	from *member
	peers.Message
	err error
}

// optional reports whether nobody has to take part: who does not answer is left out.
func (h *host) optional() bool { return h.inPlace || h.adopts }

// answerSlack is how much later than the window's end an answer may come.
const answerSlack = 5 * time.Millisecond

// leave ends the connections: those who still take part go on alone.
func (h *host) leave() {
	if h == nil || h.left {
		return
	}
	h.left = true
	close(h.done)
	for _, m := range h.members {
		m.c.Close()
	}
	for _, m := range h.unheard {
		m.c.Close()
	}
}

func (h *host) any() bool { return h != nil && len(h.members) > 0 }

// ask puts a question to all, or to those who have answered the one before.
func (h *host) ask(m peers.Message) {
	if !h.any() {
		return
	}
	h.n++
	m.N = h.n
	for _, to := range h.members {
		if to.gone || to.dropped && m.Op != peers.Thaw {
			continue
		}
		if m.Op != peers.Open { // which asks after what the last attempt met
			to.held = nil
		}
		to.pending = !to.dropped
		if to.c.Send(m) != nil {
			to.gone = true
		}
	}
}

// await waits until all have answered, with most as the limit, and reports whether all of
// the answers were yes. A peer that has died is no obstacle; one that is silent, or that
// can't go on, is an error.
func (h *host) await(ctx context.Context, most time.Duration) (yes bool, err error) {
	if !h.any() {
		return true, nil
	}
	late := time.NewTimer(max(most, time.Millisecond))
	defer late.Stop()
	for h.pending() {
		select {
		case e := <-h.inbox:
			if err := h.take(e); err != nil {
				return false, err
			}
		case <-late.C:
			return false, nil
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return h.held() == nil, nil
}

func (h *host) take(e heard) error {
	m := e.from
	switch {
	case m.dropped:
		return nil
	case e.err != nil && errors.Is(e.err, os.ErrDeadlineExceeded):
		return h.fail(m, "does not answer")
	case e.err != nil:
		m.gone, m.pending = true, false
		return nil
	case e.N != h.n:
		return nil // late, to an earlier question
	}
	m.pending = false
	switch e.Op {
	case peers.Held:
		m.held = fromWire(e.Holders, m.Peer)
	case peers.Hushed:
		if len(e.Holders) > 0 { // transactions, which go on
			m.held = fromWire(e.Holders, m.Peer)
		}
	case peers.Busy:
		if h.adopts {
			return h.fail(m, "can't move with it: "+e.Why)
		}
		m.Problem = "can't take part now: " + e.Why
		return &PeerError{Path: h.d.Path(), Peer: m.Peer, busy: true}
	case peers.Closed:
		m.Connections = e.Connections
	case peers.Thawed:
		m.Pause, m.Generation, m.file = e.Pause, e.Generation, e.File
		m.pending, m.told = !h.adopts, h.adopts // then nobody waits for its callbacks
	case peers.Told:
		m.told = true
	case peers.Drained, peers.Ready, peers.Rested:
	default:
		return h.fail(m, "answers what nobody asked")
	}
	return nil
}

// fail is for one that can't go on. The others can, without it, if nobody has to take part.
func (h *host) fail(m *member, problem string) error {
	m.Problem, m.pending, m.held = problem, false, nil
	if h.optional() {
		m.dropped = true
		return nil
	}
	m.gone = true
	return &PeerError{Path: h.d.Path(), Peer: m.Peer}
}

func (h *host) pending() bool {
	for _, m := range h.members {
		if m.pending && !m.gone {
			return true
		}
	}
	return false
}

// silent is the error for those who have not answered when they had to.
func (h *host) silent() error {
	if !h.any() {
		return nil
	}
	for _, m := range h.members {
		if m.pending && !m.gone {
			if err := h.fail(m, "does not answer"); err != nil {
				return err
			}
		}
	}
	return nil
}

// hush waits until the peers have their writes wait, and until no transaction is open
// there: as they have been asked to, for most.
func (h *host) hush(ctx context.Context, most time.Duration) ([]Holder, error) {
	if _, err := h.await(ctx, most+lapsePatience); err != nil {
		return nil, err
	}
	return h.held(), h.silent()
}

// held returns what the peers hold, as of their latest answers.
func (h *host) held() (all []Holder) {
	if !h.any() {
		return nil
	}
	for _, m := range h.members {
		all = append(all, m.held...)
	}
	return sortHolders(all)
}

// settle comes after an attempt that failed, with the gate open: it waits for those who
// have not even said so.
func (h *host) settle(ctx context.Context) error {
	if !h.any() || !h.pending() {
		return nil
	}
	if _, err := h.await(ctx, peers.Silence); err != nil {
		return err
	}
	return h.silent()
}

// close has the peers close their connections, and does own meanwhile. All have drained,
// and calls wait.
func (h *host) close(ctx context.Context, maxPause time.Duration, own func()) error {
	if !h.any() {
		return nil
	}
	h.ask(peers.Message{Op: peers.Close})
	own()
	if _, err := h.await(ctx, max(lapsePatience, min(maxPause, peers.Silence))); err != nil {
		return err
	}
	return h.silent()
}

// thaw lets the peers go on; with a file other than the zero Inode that is the new one.
func (h *host) thaw(swapped bool, file peers.Inode, forgive bool) {
	m := peers.Message{Op: peers.Thaw, Swapped: swapped, File: file, Forgive: forgive}
	h.ask(m)
	if h == nil {
		return
	}
	for _, to := range h.unheard { // they may be stopped, and read it later
		to.c.Send(m)
	}
}

// report waits until the peers have thawed and told their programs, but not beyond end,
// and says how that went.
func (h *host) report(swapped bool, file peers.Inode, end time.Time) (all []Peer) {
	if h == nil {
		return nil
	}
	defer h.leave()
	if swapped {
		for h.pending() && time.Now().Before(end) {
			// A silent one is no longer pending after its error.
			h.await(context.Background(), time.Until(end))
		}
	}
	for _, m := range h.members {
		switch {
		case !swapped || m.told && m.file == file:
		case m.Problem != "" && h.inPlace:
			m.Problem += ", and is told of the new content when it goes on"
		case m.Problem != "":
			m.Problem += ", and takes up the new file when it goes on"
		case m.gone && m.Generation == 0 && h.adopts:
			if hasOpen(m.Peer, h.file) { // else it has ended
				m.Problem = "goes on by itself"
			}
		case m.gone && m.Generation == 0:
			m.Problem = "ended meanwhile"
		case m.Generation == 0:
			m.Problem = "has not said that it uses the new file"
		case m.file != file:
			m.Problem = "has another file at its path"
		case !m.told:
			m.Problem = fmt.Sprintf("has an OnSwap callback that has not returned after %v", onSwapPatience)
		}
		all = append(all, m.Peer)
	}
	if h.adopts {
		all = append(all, h.apart...)
	}
	return all
}
