package door

import (
	"sync/atomic"

	"hotswap/internal/fileid"
)

// leads is what Leads was given.
var leads atomic.Pointer[func(path string) (from string)]

// Leads has the rule hold over a symlink that is turned: fn returns the guarded path
// that a name was turned away from, to this one; "" if there is none. As long as a
// file is open there, or is to be (see Expect), what the name leads to now is opened
// by nobody. fn is called within opens, for paths that are not guarded themselves,
// and must not open anything.
func Leads(fn func(path string) (from string)) { leads.Store(&fn) }

// leading returns the path that keeps scope from opening this one.
func leading(path string, scope *Scope) (from string) {
	fn := leads.Load()
	if fn == nil {
		return ""
	}
	if from = (*fn)(path); from == "" {
		return ""
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	p := all.paths[from]
	if p == nil || p.fileLocked() == fileid.None && (scope == nil || p.expect == fileid.None) {
		return ""
	}
	return from
}
