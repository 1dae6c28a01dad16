package main

import (
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"hotswap/internal/unix"
)

// besideInfix is in the name of a file that is renamed when it is complete.
const besideInfix = ".hotswap-"

// leftoverEnd is what createBeside puts behind it.
var leftoverEnd = regexp.MustCompile(`^[A-Z2-7]{10}$`)

// createBeside creates the file that is to become path, for writing. It is locked
// for as long as this process lives, which distinguishes it from the leftovers
// of killed commands; those are removed.
func createBeside(path string, mode fs.FileMode) (*os.File, error) {
	prefix := "." + filepath.Base(path)
	// The name may be as long as a name can be.
	prefix = prefix[:min(len(prefix), 200)] + besideInfix
	removeLeftovers(filepath.Dir(path), prefix)
	for {
		name := filepath.Join(filepath.Dir(path), prefix+rand.Text()[:10])
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return nil, err
		}
		if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			return file, nil // nobody can lock it here, so nobody removes it
		}
		// Before the lock, somebody may have taken it for a leftover.
		ours, err := file.Stat()
		if now, statErr := os.Lstat(name); err == nil && statErr == nil && os.SameFile(ours, now) {
			return file, nil
		}
		file.Close()
	}
}

// removeLeftovers removes what it can; what it can't is no reason not to copy.
func removeLeftovers(dir, prefix string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		end, ours := strings.CutPrefix(entry.Name(), prefix)
		if !ours || !leftoverEnd.MatchString(end) || !entry.Type().IsRegular() {
			continue
		}
		name := filepath.Join(dir, entry.Name())
		file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.Remove(name)
		}
		file.Close()
	}
}
