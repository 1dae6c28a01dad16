package door

import (
	"context"
	"sync"
	"time"

	"hotswap/internal/fileid"
)

// Handle is one open of a database file.
type Handle struct {
	// Opener is whose it is; nil for a stranger's.
	Opener Opener
	// File is the file that it has open.
	File fileid.ID

	// Path is the real path by which it was opened.
	Path string

	// Shared says that it is of a cache that several connections may share, and
	// Unlocked that it takes no locks and looks for none (immutable, nolock).
	Shared, Unlocked bool

	before  fileid.ID // what was at the path before it was opened
	scope   *Scope
	leaving bool // its opener is about to close it
}

// registry is what is open. Its mutex is a leaf: nothing that may block is done
// under it, no system call either.
type registry struct {
	mu      sync.Mutex
	paths   map[string]*place
	handles map[int64]*Handle // by their tokens, those that are being opened, too
	openers map[Opener]map[*Handle]struct{}
	next    int64
	unseen  map[int]fileid.ID // open when the door was put up, by descriptor
}

// place is what is known of a path.
type place struct {
	open    map[int64]*Handle // as of the registry
	opening int               // opens under way
	settled chan struct{}     // closed when opening falls to 0; nil if nobody waits for it
	unseen  []unseen          // opens from before the door
	expect  fileid.ID         // as of Expect
	guards  int
	shut    chan struct{} // closed when the path is opened again; nil if it is not shut
	leavers int           // last closes under way
	left    chan struct{} // closed when leavers falls to 0; nil if it is
}

var all = registry{paths: map[string]*place{}, handles: map[int64]*Handle{}, openers: map[Opener]map[*Handle]struct{}{}}

// shutPatience bounds the wait of an open for a path that is shut. It is SQLite's
// callback that waits, which nothing can cancel.
const shutPatience = 10 * time.Second

// atLocked returns the place of a path, made if need be; drop it when done.
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

// enter is before an open: it waits while the path is shut, if it may, and
// refuses to open a file beside another one that is open, before that makes an
// empty one. found is whether the path is guarded and there is a file.
func (r *registry) enter(path string, scope *Scope, shared, unlocked bool) (token int64, found bool, rc int) {
	deadline := time.Now().Add(shutPatience)
	for {
		r.mu.Lock()
		p := r.atLocked(path)
		shut := p.shut
		refused := shut != nil && shared
		if shut == nil {
			// With a shared cache, too: the mutex that SQLite has then
			// (SQLITE_MUTEX_STATIC_OPEN, sqlite3BtreeOpen in btree.c) a close does
			// without.
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

// fileLocked is the file that is open at the place; None if there is none.
func (p *place) fileLocked() fileid.ID {
	for _, h := range p.open {
		return h.File
	}
	for _, u := range p.unseenLocked() {
		return u.file
	}
	return fileid.None
}

// opened is after an open that succeeded. A negative code wants it closed and
// made again: between a look before it and one after, another file has come to
// the path, and which of them it is nobody can tell. That SQLite says whether it
// has moved does not do: without locks it does not know.
func (r *registry) opened(token int64, moved bool) (rc int) {
	r.mu.Lock()
	h := r.handles[token]
	r.mu.Unlock()
	now := fileid.Of(h.Path)
	from := leading(h.Path, h.scope) // its symlink may have been turned since enter
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.paths[h.Path]
	if p.guards == 0 && from != "" {
		h.scope.refuse(from)
		return sqliteCantOpen
	}
	if p.guards > 0 {
		if moved || now == fileid.None || h.before != fileid.None && now != h.before {
			return again
		}
		if other := p.fileLocked(); other != fileid.None && other != now {
			h.scope.refuse(h.Path)
			return sqliteCantOpen
		}
	}
	h.File = now
	p.open[token] = h
	if h.Opener != nil {
		r.ownLocked(h, h.Opener)
	}
	p.openedLocked()
	return sqliteOK
}

// again is no code of SQLite's.
const again = -1

func (p *place) openedLocked() {
	if p.opening--; p.opening == 0 && p.settled != nil {
		close(p.settled)
		p.settled = nil
	}
}

// closed is after a close, and after an open that came to nothing.
func (r *registry) closed(token int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.handles[token]
	if h == nil {
		return // given up before
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

// Guard has the rule hold for a path, which must be a resolved real one, until
// release is called. Guards are counted.
func Guard(path string) (release func()) {
	now := fileid.Of(path)
	all.mu.Lock()
	defer all.mu.Unlock()
	p := all.atLocked(path)
	if p.guards++; p.guards == 1 {
		all.findUnseenLocked(p, now)
	}
	return sync.OnceFunc(func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		if p.guards--; p.guards == 0 {
			p.expect = fileid.None
		}
		all.dropLocked(path, p)
	})
}

// Expect says which file is to be the next at a guarded path, while none is open
// there, for all who open in the hands of As; None for any. Who meets another one,
// or none, is refused. It ends with the guard.
func Expect(path string, file fileid.ID) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if p := all.paths[path]; p != nil && p.guards > 0 {
		p.expect = file
	}
}

// Shut has everybody in the process who would open the path wait until open is
// called. It returns once no open is under way any more, which began before, or
// with the error of ctx, and then nothing is shut. One at a time may shut a path:
// a second one waits.
func Shut(ctx context.Context, path string) (open func(), err error) {
	for {
		all.mu.Lock()
		p := all.atLocked(path)
		if other := p.shut; other != nil {
			all.mu.Unlock()
			select {
			case <-other:
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		shut := make(chan struct{})
		p.shut = shut
		var settled chan struct{}
		if p.opening > 0 {
			if p.settled == nil {
				p.settled = make(chan struct{})
			}
			settled = p.settled
		}
		all.mu.Unlock()
		open = sync.OnceFunc(func() {
			all.mu.Lock()
			defer all.mu.Unlock()
			p.shut = nil
			close(shut)
			all.dropLocked(path, p)
		})
		if settled != nil {
			select {
			case <-settled:
			case <-ctx.Done():
				open()
				return nil, ctx.Err()
			}
		}
		return open, nil
	}
}

func (r *registry) ownLocked(h *Handle, opener Opener) {
	h.Opener = opener
	if r.openers[opener] == nil {
		r.openers[opener] = map[*Handle]struct{}{}
	}
	r.openers[opener][h] = struct{}{}
}
