package door

import "hotswap/internal/fileid"

// unseen is a file that was open already when the door was put up: by the plain
// go-sqlite3, say, which the program used before. Its close is not seen either; so
// it is asked of its descriptor whether that still has the file.
type unseen struct {
	fd   int
	file fileid.ID
}

// noteUnseen looks through the process's descriptors, once.
func (r *registry) noteUnseen() {
	found, _ := fileid.Opened()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unseen = found
}

// findUnseenLocked is for a path that is guarded from now on, with what is there.
func (r *registry) findUnseenLocked(p *place, now fileid.ID) {
	p.unseen = nil
	for fd, file := range r.unseen {
		if file == now && now != fileid.None {
			p.unseen = append(p.unseen, unseen{fd, file})
		}
	}
	p.unseenLocked()
}

// unseenLocked returns those that are open still. One that is not is not asked for
// again: its descriptor's number may be another open's of the same file by then.
func (p *place) unseenLocked() []unseen {
	still := p.unseen[:0]
	for _, u := range p.unseen {
		if fileid.OfFD(uintptr(u.fd)) == u.file {
			still = append(still, u)
		}
	}
	p.unseen = still
	return still
}
