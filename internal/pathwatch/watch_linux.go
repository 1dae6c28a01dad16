package pathwatch

import (
	"os"

	"hotswap/internal/fileid"
)

// Watch is a watch on a path. It ends with the first change.
type Watch struct {
	path    string
	file    fileid.ID
	links   []link
	changed func(*Watch)
	ended   bool // guarded by all.mu
}

// link is a symlink on the way to the path.
type link struct{ path, target string }

// New begins a watch on a path without symlinks that leads to file, and on those
// symlinks by which it is reached besides, each of whose directories is a path without
// symlinks as well. Once any of them may lead elsewhere it calls changed, with no lock
// held, unless Stop was called before. It fails with ErrChanged if one of them does
// already, and with another error where changes can't be seen.
func New(path string, links []string, file fileid.ID, changed func(*Watch)) (*Watch, error) {
	w := &Watch{path: path, file: file, changed: changed}
	for _, l := range links {
		target, err := os.Readlink(l)
		if err != nil {
			return nil, err
		}
		w.links = append(w.links, link{l, target})
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	err := all.addLocked(w)
	if err == nil && !w.leads() { // what changes later is told
		err = ErrChanged
	}
	if err != nil {
		all.removeLocked(w)
		return nil, err
	}
	return w, nil
}

// Ended reports whether the watch has ended: changed is called, or will be.
func (w *Watch) Ended() bool {
	all.mu.Lock()
	defer all.mu.Unlock()
	return w.ended
}

// Stop ends the watch. A call of changed may be under way.
func (w *Watch) Stop() {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.removeLocked(w)
}

// leads reports whether the path and its symlinks lead where they did.
func (w *Watch) leads() bool {
	for _, l := range w.links {
		if target, err := os.Readlink(l.path); err != nil || target != l.target {
			return false
		}
	}
	return fileid.Of(w.path) == w.file
}

// names returns the paths whose last elements must stay what they are.
func (w *Watch) names() []string {
	names := make([]string, 1, 1+len(w.links))
	names[0] = w.path
	for _, l := range w.links {
		names = append(names, l.path)
	}
	return names
}
