package driver

import (
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"weak"

	"hotswap/internal/dbpath"
	"hotswap/internal/door"
	"hotswap/internal/peers"
	"hotswap/internal/reserve"
)

// registry holds the databases by their real path: one for a path as long as anything
// refers to it, be it only a program that has kept a *Database after closing its pools.
// A database is managed while refs is not 0.
var registry = struct {
	sync.Mutex // guards the maps, and of every Database refs, names and unguard
	byPath     map[string]weak.Pointer[Database]
	linked     map[weak.Pointer[Database]]int // the number of names with symlinks under which pools have it
	managed    int                            // databases whose refs is not 0
	endpoint   *peers.Endpoint                // open from the first to the last of them; nil if it is not
}{byPath: map[string]weak.Pointer[Database]{}, linked: map[weak.Pointer[Database]]int{}}

// registerLocked enters d under a path until nothing refers to it.
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

// kept keeps the database managed, even if its pools are closed, until release is
// called, once or more.
func (d *Database) kept() (release func()) {
	d.keep()
	return sync.OnceFunc(d.release)
}

// Keep keeps the database managed until release is called.
func (d insider) Keep() (release func()) { return d.kept() }

// keep adds a reference for a connection or a freeze. If the pool was closed while its
// connection was being made, d is managed again.
func (d *Database) keep() {
	registry.Lock()
	defer registry.Unlock()
	d.keepLocked()
}

func (d *Database) keepLocked() {
	if d.refs++; d.refs == 1 {
		registry.managed++
		door.Install()
		reserve.Prepare()
		d.guardLocked()
	}
}

// guardLocked puts the door before the database's path. The first to open it must find
// the last known file, or have another one admitted.
func (d *Database) guardLocked() {
	d.unguard = door.Guard(d.Path())
	door.Expect(d.Path(), d.watch.known().last())
}

func (d *Database) release() {
	registry.Lock()
	last := false
	if d.refs--; d.refs == 0 {
		last = true
		d.unguard()
		d.alone.Store(false)
		if registry.managed--; registry.managed == 0 && registry.endpoint != nil {
			registry.endpoint.Close()
			registry.endpoint = nil
		}
	}
	registry.Unlock()
	if last {
		d.releaseDescriptors()
		if refused := d.watch.forget(); refused {
			d.openGate(nil)
			d.freezing.Unlock()
		}
	}
}

// Lookup returns the managed database that path leads to, through any symlinks or
// relative name; false if there is none. One whose symlink was just repointed to
// another file is also found by that name before it has moved there.
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
	all := databases()
	slices.SortFunc(all, func(a, b *Database) int { return strings.Compare(a.Path(), b.Path()) })
	return all
}

// databases returns every managed database, in no order: there may be many.
func databases() []*Database {
	registry.Lock()
	defer registry.Unlock()
	all := make([]*Database, 0, len(registry.byPath))
	for _, entry := range registry.byPath {
		if d := entry.Value(); d != nil && d.refs > 0 {
			all = append(all, d)
		}
	}
	return all
}

// opened reports whether the path, where a file was just opened, is still the
// database's, and was not left by a move at that moment. If it is, it stays.
func (d *Database) opened(path string) bool {
	registry.Lock() // after the move, or before it checks that nothing is open
	defer registry.Unlock()
	return d.Path() == path
}

// ownEndpoint returns the name of this process's; "" for none.
func ownEndpoint() string {
	registry.Lock()
	defer registry.Unlock()
	if registry.endpoint == nil {
		return ""
	}
	return registry.endpoint.Name()
}
