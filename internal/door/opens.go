package door

import (
	"hotswap/internal/fileid"
)

// Open returns what is open at a path.
func Open(path string) []Handle {
	all.mu.Lock()
	defer all.mu.Unlock()
	p := all.paths[path]
	if p == nil {
		return nil
	}
	out := make([]Handle, 0, len(p.open))
	for _, h := range p.open {
		out = append(out, *h)
	}
	for _, u := range p.unseenLocked() {
		out = append(out, Handle{File: u.file, Path: path})
	}
	return out
}

// File returns the file that is open at a path, None for none. If the path is
// guarded there is no other one open.
func File(path string) fileid.ID {
	all.mu.Lock()
	defer all.mu.Unlock()
	if p := all.paths[path]; p != nil {
		return p.fileLocked()
	}
	return fileid.None
}

// Of returns what an opener has open.
func Of(opener Opener) []Handle {
	all.mu.Lock()
	defer all.mu.Unlock()
	var out []Handle
	for h := range all.openers[opener] {
		out = append(out, *h)
	}
	return out
}

// Last returns those of an opener's files that no other opener has open by the same
// path, as Leaving counts that.
func Last(opener Opener) []Handle {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.lastLocked(opener)
}

func (r *registry) lastLocked(opener Opener) (last []Handle) {
next:
	for h := range r.openers[opener] {
		for _, other := range r.paths[h.Path].open {
			if other.Opener != nil && other.Opener != opener && !other.leaving && (other.scope == nil || other.scope.ended) {
				continue next
			}
		}
		last = append(last, *h)
	}
	return last
}

// Leaving says that an opener is about to close all that it has open, and returns
// those of its files that no other opener has open by the same path, or goes on to
// have: of several that leave at once one is the last, and what As has open while it
// still runs, opening a connection, does not count, for that may come to nothing; nor
// does a stranger, who is closed as SQLite does it. Until left is called, once they are
// closed, nobody opens those paths: what is beside a file that was moved away is still
// its own then.
func Leaving(opener Opener) (last []Handle, left func()) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for h := range all.openers[opener] {
		h.leaving = true
	}
	last = all.lastLocked(opener)
	for _, h := range last {
		all.paths[h.Path].leaveLocked()
	}
	return last, func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		for _, h := range last {
			p := all.paths[h.Path]
			p.leftLocked()
			all.dropLocked(h.Path, p)
		}
	}
}

// Stays reports whether somebody has the path open who is not about to close it.
func Stays(path string) bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	p := all.paths[path]
	if p == nil {
		return false
	}
	for _, h := range p.open {
		if !h.leaving {
			return true
		}
	}
	return false
}

func (p *place) leaveLocked() {
	if p.leavers++; p.leavers == 1 {
		p.left = make(chan struct{})
	}
}

func (p *place) leftLocked() {
	if p.leavers--; p.leavers == 0 {
		close(p.left)
		p.left = nil
	}
}

// Abandon forgets what an opener has open: it will not be used any more, and never
// be closed.
func Abandon(opener Opener) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for token, h := range all.handles {
		if h.Opener == opener {
			all.forgetLocked(token, h, all.paths[h.Path])
		}
	}
}

// Claim makes a stranger's open of the path the opener's, if that has none there:
// for an open that the opener made on a goroutine that As does not know.
func Claim(opener Opener, path string) {
	all.mu.Lock()
	defer all.mu.Unlock()
	p := all.paths[path]
	if p == nil {
		return
	}
	for h := range all.openers[opener] {
		if h.Path == path {
			return
		}
	}
	for _, h := range p.open {
		if h.Opener == nil {
			all.ownLocked(h, opener)
			return
		}
	}
}
