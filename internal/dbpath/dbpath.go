// Package dbpath deals with the names of database files: which file a path leads to,
// and the URI by which SQLite opens it.
package dbpath

import (
	"os"
	"path/filepath"
	"strings"
)

// mostLinks is how many symlinks Linux follows.
const mostLinks = 40

// Real returns the absolute path of file with every symlink resolved, as SQLite
// resolves it. The file itself need not exist, nor the target of a last symlink; its
// directory must.
func Real(file string) (string, error) {
	if !filepath.IsAbs(file) {
		wd, err := os.Getwd()
		if err != nil {
			return "", err
		}
		file = wd + "/" + file // not cleaned: ".." after a symlink is its target's parent
	}
	for range mostLinks {
		dir, base := filepath.Split(file)
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			// SQLite drops "x/.." without looking at x.
			if real, err = filepath.EvalSymlinks(filepath.Clean(dir)); err != nil {
				return "", err
			}
		}
		file = filepath.Join(real, base)
		target, err := os.Readlink(file)
		if err != nil {
			return file, nil // not a symlink, or not there
		}
		if !filepath.IsAbs(target) {
			target = real + "/" + target
		}
		file = target
	}
	return "", &os.PathError{Op: "resolve", Path: file, Err: os.ErrInvalid}
}

var escaper = strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23")

// Escape escapes a path for use after "file:".
func Escape(path string) string { return escaper.Replace(path) }

// URI returns the file: URI of an absolute path with the parameters, each
// "key=value" (https://www.sqlite.org/uri.html).
func URI(path string, params ...string) string {
	u := "file:" + Escape(path)
	if len(params) > 0 {
		u += "?" + strings.Join(params, "&")
	}
	return u
}
