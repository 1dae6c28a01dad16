package swapper

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"golang.org/x/sys/unix"
)

// orphanName matches what besideName makes, and SQLite's sidecars of it.
var orphanName = regexp.MustCompile(`^\.(.+)\.hotswap-[A-Z2-7]{12}\.(stage|undo|pull)(-journal|-wal|-shm)?$`)

// RemoveOrphans removes what pushes and pulls of the database at path left
// beside it when their process was killed, and returns the names. What belongs
// to a living process, of this program or another, carries a lock and stays. A
// server calls it when it starts, and every push before it looks at its target.
func RemoveOrphans(path string) (removed []string, err error) {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	live, _ := os.Lstat(path)
	for _, e := range entries {
		m := orphanName.FindStringSubmatch(e.Name())
		if m == nil || m[1] != filepath.Base(path) || m[3] != "" {
			continue
		}
		name := filepath.Join(dir, e.Name())
		gone, removeErr := removeOrphan(name, live)
		if gone {
			removed = append(removed, name)
		}
		err = errors.Join(err, removeErr)
	}
	slices.Sort(removed)
	return removed, err
}

func removeOrphan(name string, live fs.FileInfo) (bool, error) {
	info, err := os.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false, ignoreNotExist(err)
	}
	if live == nil || !os.SameFile(info, live) {
		// Not a second name of the live file, which must not be opened and
		// closed here while connections hold locks on it.
		f, err := os.Open(name)
		if err != nil {
			return false, ignoreNotExist(err)
		}
		defer f.Close()
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return false, nil // its process lives
		}
	}
	for _, suffix := range sidecarSuffixes {
		if err := ignoreNotExist(os.Remove(name + suffix)); err != nil {
			return false, err
		}
	}
	err = os.Remove(name)
	return err == nil, ignoreNotExist(err)
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
