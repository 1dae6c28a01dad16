package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"hotswap/internal/backups"
	"hotswap/internal/openers"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/unix"
)

// refuseBackup refuses to replace an older backup that another program has open, and
// what is no file.
func (d *fileDestination) refuseBackup() error {
	if d.old == nil {
		return nil
	}
	as, err := d.backup.Resolve(d.path)
	if err != nil {
		return fileFailure(fmt.Errorf("look for earlier backups: %w", err))
	}
	if as != backups.Simple {
		return nil
	}
	path := backups.SimplePath(d.path)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return failf(exitFailed, "%s, where the backup goes, is %s", printable.Line(path), sqlitefile.KindOf(info.Mode())).
			withHint("move it away, or copy without --backup")
	}
	if opener, open := openedElsewhere(path); open {
		return failf(exitTryAgain, "%s, where the backup goes, is open in %s, which would keep using the replaced file", printable.Line(path), opener).
			withHint("end that process, or keep this backup beside that one: --backup=numbered")
	}
	return nil
}

// keepOld gives the old file a second name, over an older simple backup; on a file system
// that has no second names it makes a copy. A command that is killed after that, and
// before it puts the copy in place, leaves the file with both names.
func (d *fileDestination) keepOld() (path string, err error) {
	as, err := d.backup.Resolve(d.path)
	if err != nil {
		return "", err
	}
	temp := backups.SimplePath(d.Name()) // see removeLeftovers
	err = linkReplaced(d.path, temp)
	if lacksLinks(err) {
		copied, copyErr := d.copyOld()
		if copyErr != nil {
			return "", copyErr
		}
		defer copied.Close() // its lock says that it is in use
		temp, err = copied.Name(), nil
	}
	if err != nil {
		return "", err
	}
	if as == backups.Numbered {
		path, err = backups.Number(d.path, func(to string) error { return renameFree(temp, to) })
	} else {
		path = backups.SimplePath(d.path)
		err = replaceBackup(temp, path)
	}
	if err != nil {
		return "", errors.Join(err, os.Remove(temp))
	}
	return path, nil
}

// replaceBackup renames what holds the old file over an older backup. Somebody may have
// opened that, and have left a log, which would be replayed into this one: it goes first,
// unless the older backup is this file already.
func replaceBackup(from, to string) error {
	if !sameFile(from, to) {
		removed, err := sqlitefile.RemoveSidecars(to)
		if err == nil && removed {
			err = syncDir(filepath.Dir(to))
		}
		if err != nil {
			return err
		}
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	// rename(2) does nothing if both are names of one file.
	if err := os.Remove(from); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func sameFile(a, b string) bool {
	one, err := os.Lstat(a)
	if err != nil {
		return false
	}
	other, err := os.Lstat(b)
	return err == nil && os.SameFile(one, other)
}

// linkReplaced links the file at from, which another command may replace meanwhile: link(2)
// then finds the old one, and that it has lost its last name.
func linkReplaced(from, to string) (err error) {
	for n := 0; n == 0 || n < 100 && errors.Is(err, fs.ErrNotExist); n++ {
		err = os.Link(from, to)
	}
	return err
}

// renameFree renames to a name that must be free. Another command may take it in between
// where there are no second names.
func renameFree(from, to string) error {
	err := os.Link(from, to)
	if lacksLinks(err) {
		if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
			return cmp.Or(err, fs.ErrExist)
		}
		return os.Rename(from, to)
	}
	if err != nil {
		return err
	}
	return os.Remove(from)
}

// lacksLinks reports whether err says that link(2) is not to be had.
func lacksLinks(err error) bool {
	return errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) || errors.Is(err, syscall.EMLINK)
}

// copyOld copies the old file beside it, durably.
func (d *fileDestination) copyOld() (copied *os.File, err error) {
	old, err := os.OpenFile(d.path, os.O_RDONLY|unix.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer old.Close()
	if copied, err = createBeside(d.path, 0o600); err != nil {
		return nil, err
	}
	_, err = io.Copy(copied, old)
	if stat, ok := d.old.Sys().(*unix.FileStat); ok && err == nil {
		_ = copied.Chown(int(stat.Uid), int(stat.Gid))
		err = copied.Chmod(d.old.Mode().Perm())
	}
	if err == nil {
		err = copied.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, copied.Close(), os.Remove(copied.Name()))
	}
	return copied, nil
}

// prune removes the oldest numbered backups that are too many, and that nobody is seen to
// read.
func (d *fileDestination) prune() {
	if d.keep == 0 {
		return
	}
	all, _ := backups.List(d.path)
	for i, f := range all {
		if i >= d.keep && f.Number > 0 && len(openers.At(f.Path)) == 0 {
			os.Remove(f.Path)
		}
	}
}
