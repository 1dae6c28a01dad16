package driver

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"weak"

	"hotswap/internal/dbpath"
	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/printable"
	"hotswap/internal/reserve"
	"hotswap/internal/unix"
)

// registry holds the databases by their real path: one for a path as long as
// anybody refers to it, be it only a program that has kept a *Database over the
// closing of its pools. It is managed while refs is not 0.
var registry = struct {
	sync.Mutex // guards the maps, and of every Database refs, names and unguard
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
		reserve.Prepare()
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
// On Windows no file is managed, and Manage fails with errors.ErrUnsupported.
func Manage(path string) (d *Database, release func(), err error) {
	if err := unix.Supported(); err != nil {
		return nil, nil, fmt.Errorf("hotswap: manage %s: %w", printable.Line(path), err)
	}
	real, err := dbpath.Real(path)
	if err != nil {
		return nil, nil, err
	}
	d = acquire(real, "")
	return d, sync.OnceFunc(d.letGo), nil
}
