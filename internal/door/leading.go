package door

import (
	"sync/atomic"

	"hotswap/internal/fileid"
)

// leads is the function given to Leads.
var leads atomic.Pointer[func(path string) (from string)]

// Leads extends the rule to symlinks that are repointed: fn returns the guarded path
// from which a name was repointed to this one; "" if there is none. As long as a file
// is open there, or expected there (see Expect), nobody can open what the name leads to
// now. fn is called during opens, for paths that are not guarded themselves, and must
// not open anything.
func Leads(fn func(path string) (from string)) { leads.Store(&fn) }

// leading returns the path that keeps scope from opening this one; "" for none.
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
