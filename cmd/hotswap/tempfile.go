package main

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"hotswap/internal/backups"
	"hotswap/internal/unix"
	"hotswap/internal/workfile"
)

// besideInfix is in the name of a file that is renamed when it is complete.
const besideInfix = ".hotswap-"

// leftoverEnd is what createBeside puts behind it; with a tilde it is a second name of the
// file to be replaced, which keepOld gives it while it has that work file.
var leftoverEnd = regexp.MustCompile(`^[A-Z2-7]{10}~?$`)

// createBeside creates the file that is to become path, and removes what killed
// commands have left of theirs.
func createBeside(path string, mode fs.FileMode) (*os.File, error) {
	dir, prefix := filepath.Dir(path), "."+filepath.Base(path)
	// The name may be as long as a name can be.
	prefix = prefix[:min(len(prefix), 200)] + besideInfix
	removeLeftovers(dir, prefix)
	file, err := workfile.Create(func() string { return filepath.Join(dir, prefix+rand.Text()[:10]) }, mode)
	if errors.Is(err, workfile.ErrNotLocked) {
		return file, nil
	}
	return file, err
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
		if work, second := strings.CutSuffix(name, backups.Suffix); !second {
			removeUnlocked(name)
		} else if removeUnlocked(work) {
			os.Remove(name)
		}
	}
}

// removeUnlocked removes a work file whose process has ended, and reports whether it is
// gone.
func removeUnlocked(name string) bool {
	file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer file.Close()
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil && os.Remove(name) == nil
}
