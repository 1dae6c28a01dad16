package driver

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"time"

	"hotswap/internal/peers"
)

// invitePatience bounds the wait for those who are asked to join, with calls flowing.
var invitePatience = peers.Silence // a variable for tests

// lookEvery is how often it is looked whether they are stopped.
const lookEvery = 50 * time.Millisecond

// invite asks all other processes of the user whether they have the database's file, to
// join a freeze or for their status. Who does not answer in time is left out; of what is
// written in place it is told nonetheless, if it has the file.
func (d *Database) invite(first peers.Message) *host {
	h := &host{d: d, inPlace: first.InPlace, adopts: first.Adopts, inbox: make(chan heard), done: make(chan struct{})}
	if h.wants = peers.Joined; first.Op == peers.Status {
		h.wants = peers.State
	}
	h.file = d.currentFile()
	if !d.hasPeers() || h.file == (peers.Inode{}) {
		return h
	}
	first.V, first.File = peers.Version, h.file
	var all []*member
	for _, c := range peers.Find(ownEndpoint(), silent.has) {
		if c.Process.PID == os.Getpid() || c.Send(first) != nil {
			c.Close()
			continue
		}
		m := &member{c: c, Peer: Peer{PID: c.Process.PID, Program: c.Process.Command()}, pending: true}
		m.silent = !h.adopts && silent.has(c.Name) // who is left behind there loses what it writes
		all = append(all, m)
		go h.hear(m)
	}
	h.admitAll(all)
	for _, m := range all {
		switch {
		case slices.Contains(h.members, m):
		case h.inPlace && m.unheard:
			h.unheard = append(h.unheard, m)
		case m.unheard && (h.adopts || first.Op == peers.Status):
			m.Problem = "does not answer"
			if m.c.Process.Stopped() {
				m.Problem = "is stopped (SIGSTOP)"
			}
			if hasOpen(m.Peer, h.file) {
				h.apart = append(h.apart, m.Peer)
			}
			m.c.Close()
		default:
			m.c.Close()
		}
	}
	if h.adopts {
		h.apart = slices.DeleteFunc(h.apart, func(p Peer) bool { return !hasOpen(p, h.file) })
	}
	if !h.any() && len(h.unheard) == 0 {
		h.leave()
	}
	return h
}

// Peers asks the other processes that have the database's file open through this driver
// who they are. It waits for answers for two seconds at most.
func (d *Database) Peers() []Peer {
	h := d.invite(peers.Message{Op: peers.Status})
	defer h.leave()
	var all []Peer
	for _, m := range h.members {
		all = append(all, m.Peer)
	}
	return append(all, h.apart...)
}

// admitAll waits for the answers of those who were asked, but for that of nobody who is
// stopped: most likely he has to do with another file. Nor does it wait twice, as a rule, for
// those who do not answer: a push asks several times.
func (h *host) admitAll(all []*member) {
	late := time.NewTimer(invitePatience)
	defer late.Stop()
	brief := time.NewTimer(silentPatience)
	defer brief.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	leaveOut := func(is func(*member) bool) {
		for _, m := range all {
			if m.pending && is(m) {
				m.pending, m.unheard = false, true
			}
		}
	}
	for slices.ContainsFunc(all, func(m *member) bool { return m.pending }) {
		select {
		case e := <-h.inbox:
			m := e.from
			if !m.pending && !m.unheard { // its connection has ended since
				m.gone = true
				continue
			}
			m.pending, m.unheard = false, false
			silent.forget(m.c.Name)
			h.admit(e)
		case <-look.C:
			leaveOut(func(m *member) bool { return m.c.Process.Stopped() })
		case <-brief.C:
			leaveOut(func(m *member) bool { return m.silent })
		case <-late.C:
			leaveOut(func(m *member) bool { silent.note(m.c.Name); return true })
		}
	}
}

// hear passes on what a member says. For how long its first answer may take admitAll says.
func (h *host) hear(m *member) {
	for patience := time.Duration(0); ; patience = peers.Silence {
		msg, err := m.c.Receive(patience)
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
			m.Holders = sortHolders(fromWire(e.Holders, m.Peer))
		}
	}
	dir, base, mount := h.d.whereabouts()
	switch {
	case e.Op == peers.No || m.Problem != "" || h.optional():
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
