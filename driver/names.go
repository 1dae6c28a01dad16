package driver

import (
	"maps"
	"slices"
	"weak"

	"hotswap/internal/dbpath"
	"hotswap/internal/door"
	"hotswap/internal/fileid"
)

// findRepointed returns the database that pools have open, or last had, under this
// name, if that and all its other names now lead to path; nil for none.
func findRepointed(path, name string) *Database {
	if name == "" || name == path {
		return nil
	}
	var of []*Database
	registry.Lock()
	for _, entry := range registry.byPath {
		if d := entry.Value(); d != nil && (d.names[name] > 0 || len(d.names) == 0 && d.name == name) {
			of = append(of, d)
		}
	}
	registry.Unlock()
	for _, d := range of {
		if all := d.namesNow(); !slices.ContainsFunc(all, func(name string) bool { return !leadsTo(name, path) }) {
			return d
		}
	}
	return nil
}

func leadsTo(name, path string) bool {
	real, err := dbpath.Real(name)
	return err == nil && real == path
}

// addName counts an absolute name under which a pool has opened the database. Symlinks
// in it may be repointed to another file.
func (d *Database) addName(name string) (remove func()) {
	registry.Lock()
	defer registry.Unlock()
	d.names[name]++
	d.name = name
	linked, entry := name != d.Path(), weak.Make(d)
	if linked {
		registry.linked[entry]++
	}
	return func() {
		registry.Lock()
		defer registry.Unlock()
		if linked {
			if registry.linked[entry]--; registry.linked[entry] == 0 {
				delete(registry.linked, entry)
			}
		}
		if d.names[name]--; d.names[name] == 0 {
			delete(d.names, name)
		}
	}
}

// namesNow returns the names under which pools have the database open.
func (d *Database) namesNow() []string {
	registry.Lock()
	defer registry.Unlock()
	return slices.Collect(maps.Keys(d.names))
}

// repointedTo returns the path that the database's names lead to now, if that is no
// longer its own path, and they agree on it.
func (d *Database) repointedTo() (path string, repointed bool) {
	names := d.namesNow()
	if slices.Contains(names, d.Path()) {
		return "", false // one has no symlink in it
	}
	for i, name := range names {
		real, err := dbpath.Real(name)
		if err != nil || i > 0 && real != path {
			return "", false
		}
		path = real
	}
	if len(names) == 0 || path == d.Path() {
		return "", false
	}
	if other, ok := managed(path); ok && other != d {
		return "", false // two can't become one: this one stays where it is
	}
	return path, true
}

func init() { door.Leads(repointedFrom) }

// repointedFrom returns the path of the database whose names now lead to this path.
func repointedFrom(path string) (from string) {
	registry.Lock()
	linked := slices.Collect(maps.Keys(registry.linked))
	registry.Unlock()
	for _, entry := range linked {
		if d := entry.Value(); d != nil {
			if to, repointed := d.repointedTo(); repointed && to == path {
				return d.Path()
			}
		}
	}
	return ""
}

// LeadsTo reports whether path is the database's, and no symlink was repointed.
func (d insider) LeadsTo(path string) bool {
	if d.Path() != path {
		return false
	}
	_, repointed := d.repointedTo()
	return !repointed
}

// moveTo makes path the database's, unless another database has that path, or a file of
// this one is open. Nobody opens the file there before it is admitted, or known to have
// arrived, which begins the generation.
func (d *Database) moveTo(path string) error {
	registry.Lock()
	defer registry.Unlock()
	if other := registry.byPath[path].Value(); other != nil && other != d && other.refs > 0 {
		return &replacedError{path, "the program has another database open at that path"}
	}
	if old := d.Path(); old != path {
		if door.File(old) != fileid.None {
			return &replacedError{path, "the program still has the previous file, " + old + ", open"}
		}
		moveLocked(d, path)
	}
	return nil
}

func moveLocked(d *Database, path string) {
	if old := d.Path(); registry.byPath[old].Value() == d {
		delete(registry.byPath, old)
	}
	d.path.Store(&path)
	d.forgetPath()
	registerLocked(d, path)
	if d.refs > 0 {
		d.unguard()
		d.guardLocked()
	}
}
