package driver

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"time"

	"hotswap/internal/peers"
)

const (
	// invitePatience bounds the wait for those who are asked to join, with calls flowing.
	invitePatience = peers.Silence
	// lookEvery is how often it is looked whether they are stopped.
	lookEvery = 50 * time.Millisecond
)

// invite asks all other processes of the user whether they have the database's file, to
// join a freeze or for their status. Who does not answer in time is left out; of what is
// written in place it is told nonetheless, if it has the file.
func (d *Database) invite(op peers.Op, inPlace bool) *host {
	h := &host{d: d, inPlace: inPlace, inbox: make(chan heard), done: make(chan struct{})}
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
		if c.Process.PID == os.Getpid() || c.Send(peers.Message{V: peers.Version, Op: op, File: file, InPlace: inPlace}) != nil {
			c.Close()
			continue
		}
		m := &member{c: c, Peer: Peer{PID: c.Process.PID, Program: c.Process.Command()}, pending: true}
		all = append(all, m)
		go h.hear(m)
	}
	h.admitAll(all)
	for _, m := range all {
		switch {
		case slices.Contains(h.members, m):
		case inPlace && m.unheard:
			h.unheard = append(h.unheard, m)
		default:
			m.c.Close()
		}
	}
	if !h.any() && len(h.unheard) == 0 {
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
				if m.pending && m.c.Process.Stopped() {
					m.pending, m.unheard = false, true
				}
			}
		case <-late.C:
			for _, m := range all {
				m.unheard = m.unheard || m.pending
			}
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
	case e.Op == peers.No || m.Problem != "" || h.inPlace:
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
