package driver

import "slices"

// complete returns an error if a peer that has the file open takes no part in the freeze, or
// has left it.
func (h *host) complete() error {
	for more := h.any(); more; {
		select {
		case e := <-h.inbox:
			if err := h.take(e); err != nil {
				return err
			}
		default:
			more = false
		}
	}
	if h == nil {
		return nil
	}
	all := slices.Clone(h.apart)
	for _, m := range h.members {
		if m.gone {
			m.Problem = "has left the swap"
			all = append(all, m.Peer)
		}
	}
	for _, p := range all {
		if hasOpen(p, h.file) {
			return &PeerError{Path: h.d.Path(), Peer: p}
		}
	}
	return nil
}
