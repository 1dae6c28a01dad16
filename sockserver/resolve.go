package sockserver

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hotswap/driver"
	"hotswap/internal/backups"
	"hotswap/internal/dbpath"
	"hotswap/internal/door"
	"hotswap/internal/inside"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
)

// TheDatabase is the word that stands for the path of the only managed database.
const TheDatabase = "database"

// managed is a database that this server may touch.
type managed struct {
	path string           // the resolved real path
	db   *driver.Database // nil: matches a pattern, and the driver has not got it open
}

// open returns the driver's database, managed until release: also if the
// program closes its last pool on it meanwhile.
func (m managed) open() (db *driver.Database, release func(), err error) {
	if m.db != nil {
		return m.db, inside.Of(m.db).Keep(), nil
	}
	return driver.Manage(m.path)
}

// listManaged lists the managed databases, sorted by path.
func (a *api) listManaged() ([]managed, error) {
	matches, err := a.expandPatterns()
	if err != nil {
		return nil, err
	}
	var list []managed
	for _, db := range driver.Databases() {
		path := db.Path()
		open := len(a.cfg.DatabasePaths) == 0 || matches[path] || a.matchesPattern(path)
		if open {
			list = append(list, managed{path, db})
		}
		delete(matches, path)
	}
	for path := range matches {
		list = append(list, managed{path: path})
	}
	slices.SortFunc(list, func(x, y managed) int { return strings.Compare(x.path, y.path) })
	return list, nil
}

// manages reports whether the database at a real path is among the managed ones.
func (a *api) manages(path string) bool {
	if len(a.cfg.DatabasePaths) == 0 || a.matchesPattern(path) {
		return true
	}
	matches, err := a.expandPatterns()
	return err == nil && matches[path]
}

// expandPatterns lists the files that match a pattern, by real path.
func (a *api) expandPatterns() (map[string]bool, error) {
	paths := make(map[string]bool)
	for _, pattern := range a.cfg.DatabasePaths {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("expand the pattern %q: %w", pattern, err)
		}
		for _, name := range found {
			real, err := dbpath.Real(name)
			if err != nil || !databaseName(name) || !databaseName(real) {
				continue // gone since, or a link to nowhere
			}
			if info, err := os.Stat(real); err == nil && info.Mode().IsRegular() {
				paths[real] = true
			}
		}
	}
	return paths, nil
}

// matchesPattern is for a database that is open and has no file yet, which no
// expansion finds.
func (a *api) matchesPattern(path string) bool {
	for _, pattern := range a.cfg.DatabasePaths {
		dir, err := dbpath.Real(filepath.Dir(pattern))
		if err != nil {
			continue
		}
		dirMatches := dir == filepath.Dir(path)
		nameMatches, err := filepath.Match(filepath.Base(pattern), filepath.Base(path))
		if err == nil && dirMatches && nameMatches && databaseName(path) {
			return true
		}
	}
	return false
}

// databaseName is false for the files that live beside a database.
func databaseName(path string) bool {
	name := filepath.Base(path)
	if strings.HasPrefix(name, ".") {
		return false
	}
	return !strings.HasSuffix(name, backups.Suffix) &&
		!slices.ContainsFunc(sqlitefile.Sidecars[:], func(suffix string) bool { return strings.HasSuffix(name, suffix) })
}

// find resolves a request's path to a managed database; nothing else can be
// named, whatever the path.
func (a *api) find(path string) (managed, error) {
	list, err := a.listManaged()
	if err != nil {
		return managed{}, err
	}
	switch {
	case path == "":
		return managed{}, badRequest("no path: name a database, or %q for the only one", TheDatabase)
	case path == TheDatabase:
		if len(list) == 1 {
			return list[0], nil
		}
		return managed{}, unmanaged(fmt.Sprintf("%q names the only managed database, and there are %d",
			TheDatabase, len(list)), list)
	case !filepath.IsAbs(path):
		return managed{}, badRequest("path %q is not absolute: the program's working directory is not the client's", path)
	}
	real, err := dbpath.Real(path)
	if err != nil {
		real = filepath.Clean(path)
	}
	// A symlink in the name may have been turned a moment ago.
	db, _ := driver.Lookup(path)
	for _, m := range list {
		if m.path == real || db != nil && m.db == db {
			return m, nil
		}
	}
	p := unmanaged(printable.Line(path)+" is not a managed database", list)
	if len(a.cfg.DatabasePaths) == 0 && slices.Contains(door.Paths(), real) {
		p.Hint = "the program has it open, but not through the driver \"" + driver.Name + "\": docs/libraries.md says how to have each library use that, and what Config.DatabasePaths can do"
	}
	return managed{}, p
}

// unmanaged is the problem of a path that is not one of list.
func unmanaged(what string, list []managed) *Problem {
	p := &Problem{
		Type:   ProblemUnmanaged,
		Title:  "not a managed database",
		Status: http.StatusNotFound,
	}
	if len(list) == 0 {
		p.Detail = what + "; the program manages none"
		p.Hint = "a program manages every database that it opens with sql.Open(\"" + driver.Name + "\", ...), provided that its directory exists; GORM and some other libraries need a line of their own for it (docs/libraries.md)"
		return p
	}
	paths := make([]string, len(list))
	for i, m := range list {
		paths[i] = printable.Line(m.path)
	}
	p.Detail = what + "; the program manages " + strings.Join(paths, ", ")
	return p
}
