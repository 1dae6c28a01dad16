package door

import (
	"sync"
	"time"

	"hotswap/internal/fileid"
)

// Handle is one open of a database file.
type Handle struct {
	// Opener is who opened it; nil for a stranger.
	Opener Opener
	// File is the file that it has open.
	File fileid.ID

	// Path is the real path by which it was opened.
	Path string

	// Shared is set if its cache may be shared by several connections, and Unlocked if
	// it neither takes locks nor checks for any (immutable, nolock).
	Shared, Unlocked bool

	// ReadOnly is set if it can't write, and so can't move a WAL into the file.
	ReadOnly bool

	before  fileid.ID // what was at the path before it was opened
	scope   *Scope
	leaving bool // its opener is about to close it
}

// registry is what is open. Its mutex is a leaf: nothing that may block is done under
// it.
type registry struct {
	mu      sync.Mutex
	paths   map[string]*place
	handles map[int64]*Handle // by token, including those that are being opened
	openers map[Opener]map[*Handle]struct{}
	next    int64
	unseen  map[int]fileid.ID // open when the door was installed, by descriptor
}

// place is what is known about a path.
type place struct {
	open    map[int64]*Handle // by token, as in registry
	opening int               // opens in progress
	settled chan struct{}     // closed when opening falls to 0; nil if nobody waits
	unseen  []unseen          // opens from before the door
	expect  fileid.ID         // see Expect
	guards  int
	shut    chan struct{} // closed when the path is no longer shut; nil if it is not
	leavers int           // last closes in progress
	left    chan struct{} // closed when leavers falls to 0; nil if it is
}

var all = registry{paths: map[string]*place{}, handles: map[int64]*Handle{}, openers: map[Opener]map[*Handle]struct{}{}}

// shutPatience bounds how long an open waits for a path that is shut. It waits in
// SQLite's callback, which nothing can cancel.
const shutPatience = 10 * time.Second

// atLocked returns the place of a path, made if need be; the caller drops it when done.
func (r *registry) atLocked(path string) *place {
	p := r.paths[path]
	if p == nil {
		p = &place{open: map[int64]*Handle{}}
		r.paths[path] = p
	}
	return p
}

func (r *registry) dropLocked(path string, p *place) {
	if len(p.open) == 0 && p.opening == 0 && p.guards == 0 && p.shut == nil && p.leavers == 0 && r.paths[path] == p {
		delete(r.paths, path)
	}
}

// enter comes before an open: it waits while the path is shut, if it may, and refuses
// to open a file beside another one that is open, before the open could create an empty
// one. found says whether the path is guarded and there is a file.
func (r *registry) enter(path string, scope *Scope, shared, unlocked bool) (token int64, found bool, rc int) {
	deadline := time.Now().Add(shutPatience)
	for {
		r.mu.Lock()
		p := r.atLocked(path)
		shut := p.shut
		refused := shut != nil && shared
		if shut == nil {
			// It waits with a shared cache, too: a close does not need the mutex that
			// SQLite holds then (SQLITE_MUTEX_STATIC_OPEN, sqlite3BtreeOpen in
			// btree.c).
			shut = p.left
		}
		if shut != nil {
			r.mu.Unlock()
			if refused {
				return 0, false, sqliteBusy
			}
			late := time.NewTimer(time.Until(deadline))
			select {
			case <-shut:
				late.Stop()
				continue
			case <-late.C:
				return 0, false, sqliteBusy
			}
		}
		r.next++
		token = r.next
		h := &Handle{Path: path, Shared: shared, Unlocked: unlocked, scope: scope}
		if scope != nil {
			h.Opener = scope.opener
		}
		r.handles[token] = h
		p.opening++
		guarded, others := p.guards > 0, p.fileLocked()
		if others == fileid.None && scope != nil {
			others = p.expect
		}
		r.mu.Unlock()
		h.before = fileid.Of(path)
		if guarded {
			scope.note(path)
		}
		if guarded && others != fileid.None && others != h.before {
			r.closed(token)
			scope.refuse(path)
			return 0, false, sqliteCantOpen
		}
		if from := leading(path, scope); !guarded && from != "" {
			r.closed(token)
			scope.refuse(from)
			return 0, false, sqliteCantOpen
		}
		return token, guarded && h.before != fileid.None, sqliteOK
	}
}

// fileLocked returns the file that is open at the place; None if there is none.
func (p *place) fileLocked() fileid.ID {
	for _, h := range p.open {
		return h.File
	}
	for _, u := range p.unseenLocked() {
		return u.file
	}
	return fileid.None
}

// opened comes after an open that succeeded. A negative code asks for it to be closed
// and made again: another file came to the path between one look before it and one
// after, and nobody can tell which of them was opened. SQLite's own report of whether
// it has moved is not enough: without locks SQLite does not know.
func (r *registry) opened(token int64, moved, readOnly bool) (rc int) {
	r.mu.Lock()
	h := r.handles[token]
	r.mu.Unlock()
	now := fileid.Of(h.Path)
	from := leading(h.Path, h.scope) // its symlink may have been repointed since enter
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.paths[h.Path]
	if p.guards == 0 && from != "" {
		h.scope.refuse(from)
		return sqliteCantOpen
	}
	if p.guards > 0 {
		if moved || now == fileid.None || h.before != fileid.None && now != h.before {
			return openAgain
		}
		if other := p.fileLocked(); other != fileid.None && other != now {
			h.scope.refuse(h.Path)
			return sqliteCantOpen
		}
	}
	h.File, h.ReadOnly = now, readOnly
	p.open[token] = h
	if h.Opener != nil {
		r.ownLocked(h, h.Opener)
	}
	p.openedLocked()
	return sqliteOK
}

// openAgain is not a code of SQLite's.
const openAgain = -1

func (p *place) openedLocked() {
	if p.opening--; p.opening == 0 && p.settled != nil {
		close(p.settled)
		p.settled = nil
	}
}

// closed comes after a close, and after an open that failed.
func (r *registry) closed(token int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.handles[token]
	if h == nil {
		return // abandoned before
	}
	p := r.paths[h.Path]
	if p.open[token] == nil {
		p.openedLocked()
	}
	r.forgetLocked(token, h, p)
}

func (r *registry) forgetLocked(token int64, h *Handle, p *place) {
	delete(r.handles, token)
	delete(p.open, token)
	if of := r.openers[h.Opener]; of != nil {
		if delete(of, h); len(of) == 0 {
			delete(r.openers, h.Opener)
		}
	}
	r.dropLocked(h.Path, p)
}

func (r *registry) ownLocked(h *Handle, opener Opener) {
	h.Opener = opener
	if r.openers[opener] == nil {
		r.openers[opener] = map[*Handle]struct{}{}
	}
	r.openers[opener][h] = struct{}{}
}
