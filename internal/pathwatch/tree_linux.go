package pathwatch

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/fileid"
)

// tree is all watches, and the directories that they lead through.
type tree struct {
	mu      sync.Mutex // guards what follows, and Watch.ended; a leaf
	watches map[*Watch]struct{}
	dirs    map[string]*dir
	byWD    map[int32]*dir
	events  *events // nil while there is no watch
}

var all = tree{watches: map[*Watch]struct{}{}, dirs: map[string]*dir{}, byWD: map[int32]*dir{}}

// dir is a directory on the way of some watch.
type dir struct {
	path   string
	parent *dir // nil for the root
	file   fileid.ID
	wd     int32  // 0 for none yet
	mask   uint32 // of the events that are told
	below  int    // directories
	names  map[string][]*Watch
}

// addLocked is undone by removeLocked, also if it fails halfway.
func (t *tree) addLocked(w *Watch) error {
	t.watches[w] = struct{}{}
	if t.events == nil {
		e, err := newEvents()
		if err != nil {
			return err
		}
		t.events = e
		time.AfterFunc(Every, func() { t.look(e) })
	}
	for _, name := range w.names() {
		path := filepath.Dir(name)
		if err := local(path); err != nil {
			return err
		}
		d, err := t.reachLocked(path, inNames)
		if err != nil {
			return err
		}
		d.names[filepath.Base(name)] = append(d.names[filepath.Base(name)], w)
	}
	return nil
}

// reachLocked has the directory's events told, and those of all above it of their moves.
func (t *tree) reachLocked(path string, mask uint32) (d *dir, err error) {
	if d = t.dirs[path]; d == nil {
		var parent *dir
		if path != "/" {
			if parent, err = t.reachLocked(filepath.Dir(path), ofItself); err != nil {
				return nil, err
			}
			parent.below++
		}
		d = &dir{path: path, parent: parent, names: map[string][]*Watch{}}
		t.dirs[path] = d
	}
	if d.mask|mask != d.mask {
		err = t.watchLocked(d, mask)
	}
	if err != nil {
		t.dropLocked(d)
		return nil, err
	}
	return d, nil
}

func (t *tree) watchLocked(d *dir, mask uint32) error {
	wd, file, err := t.events.watch(d.path, mask)
	if err != nil {
		return err
	}
	if other := t.byWD[wd]; other != nil && other != d || d.wd != 0 && d.wd != wd {
		return fmt.Errorf("%s: the directory has, or had, another path", d.path)
	}
	d.wd, d.file, d.mask = wd, file, d.mask|mask
	t.byWD[wd] = d
	return nil
}

// removeLocked ends a watch.
func (t *tree) removeLocked(w *Watch) {
	if w.ended {
		return
	}
	w.ended = true
	delete(t.watches, w)
	for _, name := range w.names() {
		d, base := t.dirs[filepath.Dir(name)], filepath.Base(name)
		if d == nil {
			continue
		}
		if d.names[base] = slices.DeleteFunc(d.names[base], func(o *Watch) bool { return o == w }); len(d.names[base]) == 0 {
			delete(d.names, base)
		}
		t.dropLocked(d)
	}
	if len(t.watches) == 0 && t.events != nil {
		t.events.close()
		t.events = nil
	}
}

// dropLocked forgets a directory that nothing leads through any more, and those above it.
func (t *tree) dropLocked(d *dir) {
	for d != nil && d.below == 0 && len(d.names) == 0 {
		if d.wd != 0 {
			t.events.unwatch(d.wd)
			delete(t.byWD, d.wd)
		}
		delete(t.dirs, d.path)
		if d.parent != nil {
			d.parent.below--
		}
		d = d.parent
	}
}

// look is what is done every Every while there are watches.
func (t *tree) look(e *events) {
	t.mu.Lock()
	if t.events != e {
		t.mu.Unlock()
		return
	}
	changed := t.changedLocked()
	for w := range changed {
		t.removeLocked(w)
	}
	if t.events == e {
		time.AfterFunc(Every, func() { t.look(e) })
	}
	t.mu.Unlock()
	for w := range changed {
		w.changed(w)
	}
}

// changedLocked returns the watches of which something has happened since the last time.
func (t *tree) changedLocked() map[*Watch]struct{} {
	changed, unclear := map[*Watch]struct{}{}, false
	complete := t.events.read(func(wd int32, mask uint32, name string) {
		d := t.byWD[wd]
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			unclear = true
		case d == nil: // it was dropped meanwhile
		case name != "":
			for _, w := range d.names[name] {
				changed[w] = struct{}{}
			}
		default: // it was moved, or it is gone
			unclear = true
		}
	})
	if mounted := t.events.mounted(); mounted || unclear || !complete {
		t.surveyLocked(changed)
	}
	return changed
}

// surveyLocked looks at everything, and adds what leads elsewhere.
func (t *tree) surveyLocked(changed map[*Watch]struct{}) {
	var lost []string
	for path, d := range t.dirs {
		if fileid.Of(path) != d.file {
			lost = append(lost, strings.TrimSuffix(path, "/")+"/")
		}
	}
	for w := range t.watches {
		through := func(dir string) bool {
			return slices.ContainsFunc(w.names(), func(name string) bool { return strings.HasPrefix(name, dir) })
		}
		if slices.ContainsFunc(lost, through) || !w.leads() {
			changed[w] = struct{}{}
		}
	}
}
