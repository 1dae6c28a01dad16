package driver

import (
	"sync"
	"time"
	"weak"
)

// unmanaged has the connections to databases that are not managed, which nothing else
// looks at twice a second. A program that drops one, rather than close it, is not kept from
// that.
var unmanaged = unmanagedOnes{conns: map[weak.Pointer[conn]]struct{}{}}

type unmanagedOnes struct {
	mu      sync.Mutex
	conns   map[weak.Pointer[conn]]struct{}
	ticking bool // as long as there are any
}

func (u *unmanagedOnes) add(c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.conns[weak.Make(c)] = struct{}{}
	if !u.ticking {
		u.ticking = true
		time.AfterFunc(watchEvery, u.tick)
	}
}

func (u *unmanagedOnes) remove(c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.conns, weak.Make(c))
}

func (u *unmanagedOnes) tick() {
	u.mu.Lock()
	defer u.mu.Unlock()
	for entry := range u.conns {
		if c := entry.Value(); c != nil {
			c.endLeaked()
		} else {
			delete(u.conns, entry)
		}
	}
	if u.ticking = len(u.conns) > 0; u.ticking {
		time.AfterFunc(watchEvery, u.tick)
	}
}
