package door

import (
	"slices"

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

// Paths returns the paths of all that is open, managed or not, in no order.
func Paths() []string {
	all.mu.Lock()
	defer all.mu.Unlock()
	out := make([]string, 0, len(all.paths))
	for path, p := range all.paths {
		if p.fileLocked() != fileid.None {
			out = append(out, path)
		}
	}
	return out
}

// File returns the file that is open at a path, None for none. At a guarded path no
// other one is open.
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

// Last returns those of an opener's files that no other opener has open under the same
// path, counted as Leaving does.
func Last(opener Opener) []Handle {
	all.mu.Lock()
	defer all.mu.Unlock()
	return all.lastLocked(opener, func(*Handle) bool { return true })
}

// LastWriter returns those of an opener's files that others have open by the same
// path, too, but none who can write to them: when it is closed, there is nobody left
// who could move a WAL into the file.
func LastWriter(opener Opener) []Handle {
	all.mu.Lock()
	defer all.mu.Unlock()
	last := all.lastLocked(opener, func(other *Handle) bool { return !other.ReadOnly })
	if len(last) == 0 {
		return nil
	}
	altogether := all.lastLocked(opener, func(*Handle) bool { return true })
	return slices.DeleteFunc(last, func(h Handle) bool {
		return h.ReadOnly || slices.ContainsFunc(altogether, func(l Handle) bool { return l.Path == h.Path })
	})
}

// lastLocked returns those of an opener's files that no other one of this kind has open.
func (r *registry) lastLocked(opener Opener, kind func(*Handle) bool) (last []Handle) {
next:
	for h := range r.openers[opener] {
		for _, other := range r.paths[h.Path].open {
			if other.Opener != nil && other.Opener != opener && kind(other) && !other.leaving && (other.scope == nil || other.scope.ended) {
				continue next
			}
		}
		last = append(last, *h)
	}
	return last
}

// Leaving announces that an opener is about to close all that it has open, and returns
// those of its files that no other opener has open under the same path, or will still
// have. Of several that leave at once, one is the last. What As has open while it is
// still running, opening a connection, does not count, since that may fail; nor does a
// stranger, which SQLite closes in its own way. Until left is called, once they are
// closed, nobody opens those paths: what is beside a file that was moved away is still
// its own then.
func Leaving(opener Opener) (last []Handle, left func()) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for h := range all.openers[opener] {
		h.leaving = true
	}
	last = all.lastLocked(opener, func(*Handle) bool { return true })
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

// Stays reports whether somebody has the path open and is not about to close it.
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

// Abandon forgets what an opener has open: it will not be used again, and never closed.
func Abandon(opener Opener) {
	all.mu.Lock()
	defer all.mu.Unlock()
	for token, h := range all.handles {
		if h.Opener == opener {
			all.forgetLocked(token, h, all.paths[h.Path])
		}
	}
}

// Claim attributes a stranger's open of the path to opener, unless that already has one
// there: for an open that it made on a goroutine unknown to As.
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
