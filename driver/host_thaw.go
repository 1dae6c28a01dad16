package driver

import (
	"context"
	"fmt"
	"time"

	"hotswap/internal/peers"
)

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
