package driver

import (
	"hotswap/internal/dbpath"
	"slices"
	"strings"
	"sync"
)

// registry holds the managed databases by their real path.
var registry = struct {
	sync.Mutex // guards the map and every Database.refs; before Database.mu in order
	byPath     map[string]*Database
}{byPath: map[string]*Database{}}

// acquire returns the database of a real path, and keeps it managed until the
// matching letGo.
func acquire(path string) *Database {
	registry.Lock()
	defer registry.Unlock()
	d := registry.byPath[path]
	if d == nil {
		d = newDatabase(path)
		registry.byPath[path] = d
	}
	d.refs++
	return d
}

// keep adds a reference for a connection or a freeze. The pool may have been
// closed while its connection was being made: then d is managed again.
func (d *Database) keep() {
	registry.Lock()
	defer registry.Unlock()
	d.refs++
	if registry.byPath[d.path] == nil {
		registry.byPath[d.path] = d
	}
}

func (d *Database) letGo() {
	registry.Lock()
	defer registry.Unlock()
	if d.refs--; d.refs == 0 && registry.byPath[d.path] == d {
		delete(registry.byPath, d.path)
	}
}

// Lookup returns the managed database that path leads to, by whatever symlinks
// or relative name; false if there is none.
func Lookup(path string) (*Database, bool) {
	real, err := dbpath.Real(path)
	if err != nil {
		return nil, false
	}
	registry.Lock()
	defer registry.Unlock()
	d, ok := registry.byPath[real]
	return d, ok
}

// Databases returns every managed database, sorted by path.
func Databases() []*Database {
	registry.Lock()
	defer registry.Unlock()
	all := make([]*Database, 0, len(registry.byPath))
	for _, d := range registry.byPath {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b *Database) int { return strings.Compare(a.path, b.path) })
	return all
}

// Manage makes the file at path a managed database although no pool has it
// open, until release is called. The file need not exist, its directory must.
func Manage(path string) (d *Database, release func(), err error) {
	real, err := dbpath.Real(path)
	if err != nil {
		return nil, nil, err
	}
	d = acquire(real)
	return d, sync.OnceFunc(d.letGo), nil
}
