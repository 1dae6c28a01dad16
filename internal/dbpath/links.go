package dbpath

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Links resolves an absolute path of a file that is there, as the kernel does. It returns
// the real path and the symlinks on the way, each by its own real path.
func Links(file string) (real string, links []string, err error) {
	real = "/"
	rest := strings.Split(file, "/")
	for len(rest) > 0 {
		next := rest[0]
		rest = rest[1:]
		switch next {
		case "", ".":
			continue
		case "..":
			real = filepath.Dir(real)
			continue
		}
		path := filepath.Join(real, next)
		info, err := os.Lstat(path)
		if err != nil {
			return "", nil, err
		}
		if info.Mode().Type() != os.ModeSymlink {
			real = path
			continue
		}
		if links = append(links, path); len(links) > mostLinks {
			return "", nil, &os.PathError{Op: "resolve", Path: file, Err: syscall.ELOOP}
		}
		target, err := os.Readlink(path)
		if err != nil {
			return "", nil, err
		}
		if filepath.IsAbs(target) {
			real = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return real, links, nil
}
