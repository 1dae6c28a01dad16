package door

import "hotswap/internal/fileid"

// unseen is a file that was already open when the door was installed: by plain
// go-sqlite3, say, which the program used before. Its close is not seen either, so its
// descriptor is checked for still having the file.
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

// findUnseenLocked is called when a path becomes guarded, with the file that is there.
func (r *registry) findUnseenLocked(p *place, now fileid.ID) {
	p.unseen = nil
	for fd, file := range r.unseen {
		if file == now && now != fileid.None {
			p.unseen = append(p.unseen, unseen{fd, file})
		}
	}
	p.unseenLocked()
}

// unseenLocked returns those that are still open. One that is not is not checked again:
// by then its descriptor's number may belong to another open of the same file.
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
