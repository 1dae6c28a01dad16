package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"hotswap/internal/backups"
	"hotswap/internal/openers"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/unix"
)

// fileDestination is written beside its path, and renamed to it when it is
// complete and on the disk. A crash leaves the old file or the new one.
type fileDestination struct {
	*os.File
	arg    string      // as given, for messages
	path   string      // the file to replace, links resolved
	old    os.FileInfo // what is there now; nil for nothing
	backup backups.Kind
	keep   int // that many numbered ones; 0 for all
	done   bool
}

func (c *cpCmd) newFile(dst, src side, old os.FileInfo) (destination, error) {
	path, err := realName(dst.path)
	if errors.Is(err, errNameless) {
		return nil, failf(exitFailed, "%s can't be replaced: %w", dst.arg, errNameless).withHint("name a file")
	}
	if err != nil {
		f := fileFailure(fmt.Errorf("find the destination: %w", err))
		if errors.Is(err, fs.ErrNotExist) {
			f.hint = "create its directory first, or correct the name, which is relative to the current directory"
		}
		return nil, f
	}
	d := &fileDestination{arg: dst.arg, path: path, old: old, backup: c.Backup.kind(), keep: c.Keep}
	if err := d.refuseToBeSidecar(); err != nil {
		return nil, err
	}
	if err := d.refuse(); err != nil {
		return nil, err
	}
	if c.DryRun {
		return d.dryRun()
	}
	mode := fs.FileMode(0o644)
	if src.host() != "" {
		mode = src.mode.Perm()
	} else if live, err := os.Stat(src.path); err == nil {
		mode = live.Mode().Perm() // as cp: the source's, less the umask
	}
	if d.File, err = createBeside(path, mode); err != nil {
		return nil, fileFailure(fmt.Errorf("write beside %s: %w", dst.arg, err))
	}
	return d, nil
}

// dryRun fails where the copy would fail before its first byte.
func (d *fileDestination) dryRun() (destination, error) {
	dir := filepath.Dir(d.path)
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return nil, fileFailure(fmt.Errorf("write beside %s: %w", d.arg, &fs.PathError{Op: "access", Path: dir, Err: err}))
	}
	name := printable.Line(d.arg)
	switch {
	case d.old == nil:
		return nowhere{io.Discard, "would have become " + name}, nil
	case d.backup != backups.None && d.backup != backups.Simple:
		return nowhere{io.Discard, "would have replaced " + name + ", which would be kept"}, nil
	case d.backup == backups.Simple:
		return nowhere{io.Discard, "would have replaced " + name + ", which would be kept as " + printable.Line(backups.SimplePath(d.path))}, nil
	}
	return nowhere{io.Discard, "would have replaced " + name}, nil
}

// refuse says why nothing may be put there, if so. It is asked before the copy, and again
// once that is complete.
func (d *fileDestination) refuse() error {
	return cmp.Or(d.refuseSidecars(), d.refuseOpened(), d.refuseBackup())
}

// refuseToBeSidecar refuses the name of a database's sidecar: whoever has that
// database open would lose what was written, and find the copy.
func (d *fileDestination) refuseToBeSidecar() error {
	for _, suffix := range sqlitefile.Sidecars {
		database, is := strings.CutSuffix(d.path, suffix)
		if !is {
			continue
		}
		if _, err := os.Stat(database); err == nil {
			return usagef("%s belongs to the database %s: SQLite would take the copy for its %s", d.arg, printable.Line(database), suffix).
				withHint("choose another name")
		}
	}
	return nil
}

// refuseSidecars keeps the copy apart from another database's -wal or
// journal: SQLite would replay it into the copy, which it was not made for.
func (d *fileDestination) refuseSidecars() error {
	sidecar, err := pendingSidecar(d.path)
	if err != nil {
		return fileFailure(err)
	}
	if sidecar != "" {
		return failf(exitFailed, "%s%s is not empty: SQLite would replay it into the copy", printable.Line(d.path), sidecar).
			withHint("if no program has %s open, move both away, or choose another name", printable.Line(d.path))
	}
	return nil
}

// openedPatience is for how long a process must have a file open to be one that uses it:
// another command has its copy open still when it has just put it there.
const openedPatience = 500 * time.Millisecond

// refuseOpened refuses to replace a database that another program has open, even
// one that another program manages: it would keep using the old file.
func (d *fileDestination) refuseOpened() error {
	if d.old == nil {
		return nil
	}
	if opener, open := openedElsewhere(d.path); open {
		return failf(exitTryAgain, "%s is open in %s, which would keep using the replaced file", d.arg, opener).
			withHint("end that process, or choose another name; if it manages the file itself, push to it through its own --socket")
	}
	return nil
}

// openedElsewhere returns a process that uses the file at path.
func openedElsewhere(path string) (opener openers.Process, open bool) {
	for seen := time.Now(); ; time.Sleep(openedPatience / 50) {
		others := openers.At(path)
		switch {
		case len(others) == 0:
			return opener, false
		case !slices.Contains(others, opener):
			opener, seen = others[0], time.Now()
		case time.Since(seen) > openedPatience:
			return opener, true
		}
	}
}

func (d *fileDestination) commit() (backupPath string, err error) {
	if err := d.finish(); err != nil {
		return "", fileFailure(fmt.Errorf("finish %s: %w", d.arg, err))
	}
	if err := d.refuse(); err != nil {
		return "", err
	}
	if d.backup != backups.None && d.old != nil {
		if backupPath, err = d.keepOld(); err != nil {
			return "", fileFailure(fmt.Errorf("back up the old %s: %w", d.arg, err))
		}
	}
	if err := os.Rename(d.Name(), d.path); err != nil {
		return "", fileFailure(fmt.Errorf("put the copy in place: %w", err))
	}
	d.done = true
	d.Close() // not before: its lock says that it is in use
	d.prune()
	if err := syncDir(filepath.Dir(d.path)); err != nil {
		return backupPath, failf(exitFailed, "%s is complete, but may not survive a power loss: %w", d.arg, err)
	}
	return backupPath, nil
}

// finish gives the copy the mode of the file it replaces and puts it on the disk.
func (d *fileDestination) finish() error {
	if d.old != nil {
		if stat, ok := d.old.Sys().(*unix.FileStat); ok {
			// cp writes into the old file, and so keeps its owner; only root can.
			_ = d.Chown(int(stat.Uid), int(stat.Gid))
		}
		if err := d.Chmod(d.old.Mode().Perm()); err != nil {
			return err
		}
	}
	return d.Sync()
}

func (d *fileDestination) abort() {
	if !d.done {
		d.Close()
		os.Remove(d.Name())
	}
}

func (d *fileDestination) untouched() string {
	if d.old == nil {
		return d.arg + " was not created"
	}
	return d.arg + " is unchanged"
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
