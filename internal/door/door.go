// Package door sees every database file that SQLite opens in this process, whoever
// opens it: this module's driver, an ATTACH, a connect hook, driver.Raw, plain
// go-sqlite3. For guarded paths it enforces one rule:
//
//	at no time does the process have two files of one path open
//
// SQLite identifies a file's shared memory by its inode but finds -wal and -shm by name
// (https://www.sqlite.org/howtocorrupt.html, section 4.2 ff.). With two files open
// under one name, one of them just put there by somebody, both map the same -shm, their
// locks do not meet, and the old file's log is replayed into the new one. So opening
// the other file is refused, with SQLITE_CANTOPEN, until the first one is closed. And a
// path can be shut for a moment, while the file at it is replaced: opens then wait.
//
// The door is SQLite's default VFS itself: its xOpen is replaced, for main databases
// only. A second copy of SQLite in the process (another port of it, one that a plugin
// brings) has VFSes of its own, and is not seen.
package door

/*
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#include <stdint.h>
int hotswap_door_install(void);
uintptr_t hotswap_door_set_opener(uintptr_t);
*/
import "C"

import (
	"runtime"
	"sync"
)

// Install installs the door, once; later calls do nothing. It is not done when the
// package is initialised, since it initialises SQLite, after which a program can no
// longer configure that (sqlite3_config).
var Install = sync.OnceFunc(func() {
	C.hotswap_door_install()
	all.noteUnseen()
})

// An Opener is whoever opens a file; nil is a stranger.
type Opener any

var openers = struct {
	sync.Mutex // guards the map; a leaf: nothing is called under it
	byID       map[C.uintptr_t]*Scope
	next       C.uintptr_t
}{byID: map[C.uintptr_t]*Scope{}}

// Scope is one run of As.
type Scope struct {
	opener  Opener
	mu      sync.Mutex // guards what follows; a leaf
	refused []string
	guarded []string
	ended   bool // guarded by registry.mu
}

// Refused returns the guarded paths at which an open of the scope was refused because
// another file is open there.
func (s *Scope) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Guarded returns the guarded paths that the scope opened, successfully or not.
func (s *Scope) Guarded() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guarded
}

func (s *Scope) note(path string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guarded = append(s.guarded, path)
}

func (s *Scope) refuse(path string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, path)
}

// As runs fn, and attributes what fn opens through SQLite on its own goroutine to
// opener. It may be nested: the innermost counts.
func As(opener Opener, fn func()) *Scope {
	s := &Scope{opener: opener}
	openers.Lock()
	openers.next++
	id := openers.next
	openers.byID[id] = s
	openers.Unlock()
	runtime.LockOSThread()
	was := C.hotswap_door_set_opener(id)
	defer func() {
		C.hotswap_door_set_opener(was)
		runtime.UnlockOSThread()
		openers.Lock()
		delete(openers.byID, id)
		openers.Unlock()
		all.mu.Lock()
		s.ended = true
		all.mu.Unlock()
	}()
	fn()
	return s
}

func scopeOf(id C.uintptr_t) *Scope {
	if id == 0 {
		return nil
	}
	openers.Lock()
	defer openers.Unlock()
	return openers.byID[id]
}
