// Package backups names the files that hold what a database was before it was replaced, as
// cp of GNU coreutils does (https://www.gnu.org/software/coreutils/manual/html_node/Backup-options.html):
// simple ones are called as the database with a tilde appended, numbered ones with .~N~.
package backups

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"hotswap/internal/sqlitefile"
)

// A Kind is how a backup is named.
type Kind string

const (
	None     Kind = "none"
	Simple   Kind = "simple"
	Numbered Kind = "numbered"
	Existing Kind = "existing" // numbered if there are numbered ones already, else simple
)

// Parse reads a kind by its name, or by one of its other names.
func Parse(text string) (Kind, error) {
	switch text {
	case "none", "off":
		return None, nil
	case "simple", "never":
		return Simple, nil
	case "numbered", "t":
		return Numbered, nil
	case "existing", "nil":
		return Existing, nil
	}
	return "", fmt.Errorf("%q is not simple, numbered or existing", text)
}

// Resolve makes Simple or Numbered of Existing, for the file at path.
func (k Kind) Resolve(path string) (Kind, error) {
	if k != Existing {
		return k, nil
	}
	all, err := List(path)
	if slices.ContainsFunc(all, func(f File) bool { return f.Number > 0 }) {
		return Numbered, err
	}
	return Simple, err
}

// File is a backup.
type File struct {
	Path   string
	Number int // 0 for a simple one
	Info   os.FileInfo
}

// Suffix is what the names of all backups end with.
const Suffix = "~"

// SimplePath is the path of the simple backup of the file at path.
func SimplePath(path string) string { return path + Suffix }

func numberedPath(path string, n int) string { return fmt.Sprintf("%s.~%d~", path, n) }

// highest is a number that counting does not reach. What has a higher one is no backup of
// ours, and is not counted on from.
const highest = 999_999_999

// numberOf parses the name of a numbered backup of the file called base, 0 if it is none.
func numberOf(name, base string) int {
	text, ok := strings.CutPrefix(name, base+".~")
	text, closed := strings.CutSuffix(text, Suffix)
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || !closed || err != nil || n <= 0 || n > highest || strconv.FormatInt(n, 10) != text {
		return 0
	}
	return int(n)
}

// List returns the backups of the file at path that are regular files: the numbered ones
// by their numbers, the highest first, and behind them the simple one.
func List(path string) ([]File, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	var all []File
	for _, e := range entries {
		n := numberOf(e.Name(), filepath.Base(path))
		if n == 0 && e.Name() != filepath.Base(SimplePath(path)) {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, File{filepath.Join(filepath.Dir(path), e.Name()), n, info})
	}
	slices.SortFunc(all, func(a, b File) int { return b.Number - a.Number })
	return all, nil
}

// Next is the path that a numbered backup of the file at path would get now.
func Next(path string) (next string, err error) {
	return Number(path, func(string) error { return nil })
}

// Number gives a backup of the file at path the next number: name names it, and returns an
// fs.ErrExist if something has that name already. The number is higher than that of any
// backup there is, and of any that has left a log or a journal, which SQLite would replay
// into this one.
func Number(path string, name func(to string) error) (string, error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	n := 0
	for _, e := range entries {
		file := e.Name()
		for _, suffix := range sqlitefile.Sidecars {
			file = strings.TrimSuffix(file, suffix)
		}
		n = max(n, numberOf(file, filepath.Base(path)))
	}
	for {
		if n++; n > highest { // List would not see it
			return "", fmt.Errorf("there is a backup %s: no higher number is left", numberedPath(path, highest))
		}
		to := numberedPath(path, n)
		if err := name(to); !errors.Is(err, fs.ErrExist) {
			return to, err
		}
	}
}
