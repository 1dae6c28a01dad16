package driver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
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

const (
	// invitePatience bounds the wait for those who are asked to join, with calls flowing.
	invitePatience = peers.Silence
	// lookEvery is how often it is looked whether they are stopped.
	lookEvery = 50 * time.Millisecond
	// answerSlack is how much later than the window's end an answer may come.
	answerSlack = 5 * time.Millisecond
)

// invite asks all other processes of the user whether they have the database's file, to
// join a freeze or for their status. Who does not answer in time is left out.
func (d *Database) invite(op peers.Op) *host {
	h := &host{d: d, inbox: make(chan heard), done: make(chan struct{})}
	if h.wants = peers.Joined; op == peers.Status {
		h.wants = peers.State
	}
	file := d.currentFile()
	if !d.hasPeers() || file == (peers.Inode{}) {
		return h
	}
	registry.Lock()
	own := ""
	if registry.endpoint != nil {
		own = registry.endpoint.Name()
	}
	registry.Unlock()
	var all []*member
	for _, c := range peers.Find(own) {
		if c.Process.PID == os.Getpid() || c.Send(peers.Message{V: peers.Version, Op: op, File: file}) != nil {
			c.Close()
			continue
		}
		m := &member{c: c, Peer: Peer{PID: c.Process.PID, Program: c.Process.Command()}, pending: true}
		all = append(all, m)
		go h.hear(m)
	}
	h.admitAll(all)
	for _, m := range all {
		if !slices.Contains(h.members, m) {
			m.c.Close()
		}
	}
	if !h.any() {
		h.leave()
	}
	return h
}

// admitAll waits for the answers of those who were asked, but for that of nobody who is
// stopped: most likely he has to do with another file.
func (h *host) admitAll(all []*member) {
	late := time.NewTimer(invitePatience)
	defer late.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for slices.ContainsFunc(all, func(m *member) bool { return m.pending }) {
		select {
		case e := <-h.inbox:
			if !e.from.pending { // its connection has ended since
				e.from.gone = true
				continue
			}
			e.from.pending = false
			h.admit(e)
		case <-look.C:
			for _, m := range all {
				m.pending = m.pending && !m.c.Process.Stopped()
			}
		case <-late.C:
			return
		}
	}
}

// hear passes on what a member says.
func (h *host) hear(m *member) {
	for {
		msg, err := m.c.Receive(peers.Silence)
		if err == nil && msg.Op == peers.Still {
			continue
		}
		select {
		case h.inbox <- heard{m, msg, err}:
		case <-h.done:
			return
		}
		if err != nil {
			return
		}
	}
}

// admit looks at the answer to an invitation.
func (h *host) admit(e heard) {
	m := e.from
	if e.err != nil || e.Op == peers.No && e.Why == "" || e.Op != peers.No && e.Op != h.wants {
		return // gone, has another file, or talks nonsense
	}
	if m.PID == 0 {
		m.Program = e.Program
	}
	m.Connections, m.Problem = e.Connections, e.Why
	if e.Op == peers.State {
		var stats Stats
		if json.Unmarshal(e.Stats, &stats) == nil {
			m.Stats = &stats
		}
		if len(e.Holders) > 0 {
			m.Holders = h.fromWire(m, e.Holders)
		}
	}
	dir, base, mount := h.d.whereabouts()
	switch {
	case e.Op == peers.No || m.Problem != "":
	case e.Mount && !mount:
		m.Problem = "has it mounted as a file of its own, which a rename would leave behind"
	case e.Dir != dir || !bytes.Equal(e.Base, []byte(base)):
		m.Problem = "has it by another directory or name"
	}
	if m.Problem != "" || e.Op == peers.No {
		h.apart = append(h.apart, m.Peer)
		return
	}
	h.members = append(h.members, m)
	if e.Op == peers.Joined {
		m.c.SayStill()
	}
}

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
		if to.gone {
			continue
		}
		if m.Op != peers.Open { // which asks after what the last attempt met
			to.held = nil
		}
		to.pending = true
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
		m.held = h.fromWire(m, e.Holders)
	case peers.Busy:
		m.Problem = "is busy: " + e.Why
		return &PeerError{Path: h.d.Path(), Peer: m.Peer, busy: true}
	case peers.Closed:
		m.Connections = e.Connections
	case peers.Thawed:
		m.Pause, m.Generation, m.file = e.Pause, e.Generation, e.File
		m.pending = true
	case peers.Told:
		m.told = true
	case peers.Drained, peers.Ready, peers.Rested:
	default:
		return h.fail(m, "answers what nobody asked")
	}
	return nil
}

func (h *host) fail(m *member, problem string) error {
	m.Problem = problem
	m.gone, m.pending = true, false
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
			return h.fail(m, "does not answer")
		}
	}
	return nil
}

// held returns what the peers hold, as of their latest answers.
func (h *host) held() (all []Holder) {
	if !h.any() {
		return nil
	}
	for _, m := range h.members {
		all = append(all, m.held...)
	}
	return all
}

func (h *host) fromWire(m *member, all []peers.Holder) []Holder {
	out := []Holder{}
	for _, o := range all {
		out = append(out, Holder{Kind: HoldKind(o.Kind), Query: o.Query, For: o.For, tx: o.Tx, PID: m.PID, Program: m.Program})
	}
	if len(out) == 0 { // ended as it was looked at
		out = append(out, Holder{Kind: HoldCall, PID: m.PID, Program: m.Program})
	}
	return out
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

// close has the peers close their connections. All have drained, and calls wait.
func (h *host) close(ctx context.Context, maxPause time.Duration) error {
	h.ask(peers.Message{Op: peers.Close})
	if _, err := h.await(ctx, max(lapsePatience, min(maxPause, peers.Silence))); err != nil {
		return err
	}
	return h.silent()
}

// thaw lets the peers go on; with a file other than the zero Inode that is the new one.
func (h *host) thaw(swapped bool, file peers.Inode, forgive bool) {
	h.ask(peers.Message{Op: peers.Thaw, Swapped: swapped, File: file, Forgive: forgive})
}

// report waits until the peers have thawed and told their programs, but not beyond end,
// and says how that went.
func (h *host) report(swapped bool, file peers.Inode, end time.Time) (all []Peer) {
	if !h.any() {
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
		case m.Problem != "":
			m.Problem += ", and takes up the new file when it goes on"
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
	return all
}
