package swapper

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

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
	for _, e := range entries {
		m := orphanName.FindStringSubmatch(e.Name())
		if m == nil || m[1] != filepath.Base(path) || m[3] != "" {
			continue
		}
		name := filepath.Join(dir, e.Name())
		lock, lockErr := lockOrphan(name, path)
		if lockErr != nil {
			continue // its process lives, or it is gone meanwhile
		}
		removeErr := removeOrphan(name)
		lock.Close() // only now: what is not locked may be locked by its maker
		if removeErr == nil {
			removed = append(removed, name)
		}
		err = errors.Join(err, ignoreNotExist(removeErr))
	}
	slices.Sort(removed)
	return removed, err
}

// lockOrphan takes the lock that a process at work with the file would have; an
// error says that one has it. Until the rename an undo file is a second name of
// the live one, which must not be opened and closed here while connections hold
// locks on it: the stage of the same push has the lock then. From the rename on
// it has its own.
func lockOrphan(name, livePath string) (io.Closer, error) {
	for {
		info, err := os.Lstat(name)
		if err != nil {
			return nil, err
		}
		live, err := os.Lstat(livePath)
		if err != nil || !os.SameFile(info, live) {
			return lock(name)
		}
		held, err := lock(strings.TrimSuffix(name, kindUndo) + kindStage)
		if err == nil {
			return held, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if again, err := os.Lstat(livePath); err == nil && os.SameFile(live, again) {
			return io.NopCloser(nil), nil // its process died before it could rename
		}
		// Renamed between our two looks.
	}
}

func lock(name string) (io.Closer, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func removeOrphan(name string) error {
	for _, suffix := range sidecarSuffixes {
		if err := ignoreNotExist(os.Remove(name + suffix)); err != nil {
			return err
		}
	}
	return os.Remove(name)
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
