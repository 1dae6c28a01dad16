package driver

import (
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"weak"

	"hotswap/internal/dbpath"
	"hotswap/internal/door"
	"hotswap/internal/fileid"
)

// registry holds the databases by their real path: one for a path as long as
// anybody refers to it, be it only a program that has kept a *Database over the
// closing of its pools. It is managed while refs is not 0.
var registry = struct {
	sync.Mutex // guards the maps, and of every Database refs, names and unguard; before Database.mu in order
	byPath     map[string]weak.Pointer[Database]
	linked     map[weak.Pointer[Database]]int // by how many names with symlinks pools have it
}{byPath: map[string]weak.Pointer[Database]{}, linked: map[weak.Pointer[Database]]int{}}

// acquire returns the database of a real path, and keeps it managed until the
// matching letGo. If name, which leads there, has led to the path of another
// database, it is that one, which the name was turned away from: it moves, or is
// about to.
func acquire(path, name string) *Database {
	turned := turnedAway(path, name)
	registry.Lock()
	d := registry.byPath[path].Value()
	switch {
	case d != nil:
	case turned == nil:
		d = newDatabase(path)
		registerLocked(d, path)
	default:
		if d = turned; d.unusedLocked() {
			moveLocked(d, path)
		}
	}
	d.keepLocked()
	registry.Unlock()
	if path := d.Path(); door.File(path) != fileid.None {
		d.noteAttached(path, door.File(path)) // before it was managed
	}
	return d
}

// turnedAway returns the database that pools have by this name, or had last, if that
// and all other names of it lead to path by now; nil for none.
func turnedAway(path, name string) *Database {
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

// unusedLocked reports whether no pool has the database: at most a push, say, which
// comes to its end when it sees that it has moved.
func (d *Database) unusedLocked() bool {
	return d.refs == 0 || len(d.names) == 0 && door.File(d.Path()) == fileid.None
}

// registerLocked enters d under a path, until nobody refers to it.
func registerLocked(d *Database, path string) {
	entry := weak.Make(d)
	registry.byPath[path] = entry
	runtime.AddCleanup(d, func(entry weak.Pointer[Database]) {
		registry.Lock()
		defer registry.Unlock()
		if registry.byPath[path] == entry {
			delete(registry.byPath, path)
		}
	}, entry)
}

// Keep keeps the database managed, whatever becomes of its pools, until release
// is called.
func (d *Database) Keep() (release func()) {
	d.keep()
	return sync.OnceFunc(d.letGo)
}

// keep adds a reference for a connection or a freeze. The pool may have been
// closed while its connection was being made: then d is managed again.
func (d *Database) keep() {
	registry.Lock()
	defer registry.Unlock()
	d.keepLocked()
}

func (d *Database) keepLocked() {
	if d.refs++; d.refs == 1 {
		door.Install()
		door.Leads(turnedFrom)
		nothing()
		d.guardLocked()
	}
}

// guardLocked puts the door before the database's path. Whoever comes first must meet
// the file that there was last, or have another one admitted.
func (d *Database) guardLocked() {
	d.unguard = door.Guard(d.Path())
	door.Expect(d.Path(), d.watch.known().last())
}

func (d *Database) letGo() {
	registry.Lock()
	last := false
	if d.refs--; d.refs == 0 {
		last = true
		d.unguard()
	}
	registry.Unlock()
	if last {
		d.giveBackDescriptors()
		d.forgetFile()
	}
}

// named counts a name, absolute, by which a pool has opened the database: where it
// has symlinks in it, they may be turned to another file.
func (d *Database) named(name string) (unnamed func()) {
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

// namesNow returns the names by which pools have the database.
func (d *Database) namesNow() []string {
	registry.Lock()
	defer registry.Unlock()
	return slices.Collect(maps.Keys(d.names))
}

// turnedTo returns the path that the database's names lead to now, if that is not
// its path any more, and they agree on it.
func (d *Database) turnedTo() (path string, turned bool) {
	names := d.namesNow()
	if slices.Contains(names, d.Path()) {
		return "", false // this one has no symlink in it
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
		return "", false // two can't be one: this one stays where it is
	}
	return path, true
}

// turnedFrom returns the path of the database whose names lead to this one by now.
func turnedFrom(path string) (from string) {
	registry.Lock()
	linked := slices.Collect(maps.Keys(registry.linked))
	registry.Unlock()
	for _, entry := range linked {
		if d := entry.Value(); d != nil {
			if to, turned := d.turnedTo(); turned && to == path {
				return d.Path()
			}
		}
	}
	return ""
}

// LeadsTo reports whether path is the database's, and no symlink in the names by which
// pools have it was turned to another one.
func (d *Database) LeadsTo(path string) bool {
	if d.Path() != path {
		return false
	}
	_, turned := d.turnedTo()
	return !turned
}

// moveTo makes path the database's, unless another one has that path, or something of
// this one is open. Nobody opens what is there before it is admitted, or is known to
// have arrived: the generation begins with that.
func (d *Database) moveTo(path string) error {
	registry.Lock()
	defer registry.Unlock()
	if other := registry.byPath[path].Value(); other != nil && other != d && other.refs > 0 {
		return &replacedError{path, "the program has another database of that path open"}
	}
	if old := d.Path(); old != path {
		if door.File(old) != fileid.None {
			return &replacedError{path, "the program has the one before, " + old + ", still open"}
		}
		moveLocked(d, path)
	}
	return nil
}

// opened reports whether what was just opened at the path is the database's still, and
// not left behind by a move of that moment. If it is, it stays.
func (d *Database) opened(path string) bool {
	registry.Lock() // after the move, or before it looks whether anything is open
	defer registry.Unlock()
	return d.Path() == path
}

func moveLocked(d *Database, path string) {
	if old := d.Path(); registry.byPath[old].Value() == d {
		delete(registry.byPath, old)
	}
	d.path.Store(&path)
	registerLocked(d, path)
	if d.refs > 0 {
		d.unguard()
		d.guardLocked()
	}
}

// Lookup returns the managed database that path leads to, by whatever symlinks
// or relative name; false if there is none. One whose symlink was just turned to
// another file is found by that name before it has moved there, too.
func Lookup(path string) (*Database, bool) {
	real, err := dbpath.Real(path)
	if err != nil {
		return nil, false
	}
	name, err := filepath.Abs(path)
	if err != nil {
		return nil, false
	}
	registry.Lock()
	defer registry.Unlock()
	if d := registry.byPath[real].Value(); d != nil && d.refs > 0 {
		return d, true
	}
	for _, entry := range registry.byPath {
		if d := entry.Value(); d != nil && d.refs > 0 && d.names[name] > 0 {
			return d, true
		}
	}
	return nil, false
}

// managed returns the managed database of a real path.
func managed(path string) (*Database, bool) {
	registry.Lock()
	defer registry.Unlock()
	d := registry.byPath[path].Value()
	return d, d != nil && d.refs > 0
}

func isManaged(path string) bool {
	_, ok := managed(path)
	return ok
}

// Databases returns every managed database, sorted by path.
func Databases() []*Database {
	registry.Lock()
	defer registry.Unlock()
	all := make([]*Database, 0, len(registry.byPath))
	for _, entry := range registry.byPath {
		if d := entry.Value(); d != nil && d.refs > 0 {
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b *Database) int { return strings.Compare(a.Path(), b.Path()) })
	return all
}

// Manage makes the file at path a managed database although no pool has it
// open, until release is called. The file need not exist, its directory must.
func Manage(path string) (d *Database, release func(), err error) {
	real, err := dbpath.Real(path)
	if err != nil {
		return nil, nil, err
	}
	d = acquire(real, "")
	return d, sync.OnceFunc(d.letGo), nil
}
