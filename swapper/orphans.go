package swapper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"

	"hotswap/internal/backups"
	"hotswap/internal/dbpath"
	"hotswap/internal/lognote"
	"hotswap/internal/openers"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/unix"
)

// Orphans is what [RemoveOrphans] found and did. Its files are named by their paths.
type Orphans struct {
	// Removed are the files that nobody has a use for; they are gone.
	Removed []string
	// Backup is the backup of a push that was killed before it had named it, under its
	// name now; "" if there was none.
	Backup string
	// Aside are files that somebody may want, such as one that was put in the live
	// database's place at the moment of a swap. They were renamed so that they are seen,
	// and are never removed.
	Aside []string
}

// Log logs a warning for each kind of file that was found.
func (o Orphans) Log(log zerolog.Logger, path string) {
	if len(o.Removed) > 0 {
		lognote.Send(log.Warn().Str("database", path).Strs("removed", o.Removed), "removed what an interrupted push left")
	}
	if o.Backup != "" {
		lognote.Send(log.Warn().Str("database", path).Str("backup", o.Backup), "named the backup of an interrupted push")
	}
	for _, name := range o.Aside {
		log.Warn().Str("database", path).Str("file", name).
			Msg("kept a file that somebody may want, such as one that was put in the database's place at the moment of a swap, or the backup before the last: look at it, then push it or remove it")
	}
}

// RemoveOrphans cleans up after pushes and pulls of the database at path whose process
// was killed: it removes what they left beside it, and finishes the naming of a backup.
// What belongs to a living process, of this program or another, is locked and stays.
// Every push calls it first, and so does a socket server when it starts; a program that
// does neither may call it. It may run beside anything, be killed at any moment, and be
// called again.
//
// It touches only regular files that have no other name and that this process does not
// have open, since anyone who can write to the directory can give any file such a name.
func RemoveOrphans(path string) (done Orphans, err error) {
	RemoveOrphansOf([]string{path}, func(_ string, found Orphans, failed error) { done, err = found, failed })
	return done, err
}

// RemoveOrphansOf is [RemoveOrphans] for many databases, and tells of each what it found
// and did. It reads a directory once, however many of them are in it.
func RemoveOrphansOf(paths []string, tell func(path string, done Orphans, err error)) {
	read := make(map[string]leftovers)
	for _, path := range paths {
		dir := filepath.Dir(path)
		there, ok := read[dir]
		if !ok {
			there = leftIn(dir)
			read[dir] = there
		}
		var done Orphans
		err := there.err
		for _, l := range there.of[besidePrefix(filepath.Base(path))] {
			err = errors.Join(err, done.settle(filepath.Join(dir, l.name), l.beside, path))
		}
		slices.Sort(done.Removed)
		tell(path, done, err)
	}
}

// leftovers are the operations' files in a directory, by the prefix of their database's.
type leftovers struct {
	of  map[string][]leftover
	err error
}

type leftover struct {
	beside
	name string
}

func leftIn(dir string) leftovers {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return leftovers{}
	}
	if err != nil {
		return leftovers{err: err}
	}
	all := leftovers{of: make(map[string][]leftover)}
	for _, e := range entries {
		if prefix, b, ok := parseBeside(e.Name()); ok {
			all.of[prefix] = append(all.of[prefix], leftover{b, e.Name()})
		}
	}
	return all
}

// settle does what is to be done with one file.
func (o *Orphans) settle(name string, b beside, live string) error {
	state, err := lookAt(name)
	if err != nil || !state.mode.IsRegular() {
		return nil // gone meanwhile, or none of ours
	}
	if state.nlink > 1 {
		return o.settleSecondName(name, b, live, state)
	}
	lock, err := lockOrphan(name, state)
	if err != nil {
		return nil // its process lives, or it is gone meanwhile
	}
	defer lock.Close() // only then: what is not locked may be locked by its maker
	switch b.kind {
	case kindStage, kindPull:
		return o.remove(name)
	case kindCopy, kindNCopy:
		wanted, err := wasOverwritten(live, b)
		if err != nil {
			return nil // it is locked, or can't be read: another time
		}
		if !wanted {
			return o.remove(name)
		}
		if b.wanted() == backups.Simple {
			// Only most likely: see keepCopy. So what is a backup until now is not lost.
			if err := o.keepOlderBackup(b, live); err != nil {
				return err
			}
		}
		return o.nameBackup(name, b, live)
	}
	// What is known of the files now must be so after a power loss, too.
	if err := syncPath(filepath.Dir(live)); err != nil {
		return err
	}
	switch {
	case state.ino == b.a: // the new file, which never was the live one
		return o.remove(name)
	case state.ino == b.b && b.wanted() != backups.None:
		return o.nameBackup(name, b, live)
	case state.ino == b.b:
		return o.remove(name)
	}
	return o.moveAside(name, b, live)
}

// settleSecondName is about a file that has other names, which is never opened. One
// of them is the live database's if a push was killed that had to do without an
// exchange of names (replacement.renameOver, takeFreePlace). Any other is none of ours.
func (o *Orphans) settleSecondName(name string, b beside, live string, state fileState) error {
	there, err := lookAt(live)
	if err != nil || !there.is(state) {
		return nil
	}
	switch b.kind {
	case kindUndo, kindBackup, kindNumber:
		// Until the rename the stage has the lock of its process.
		stage := beside{id: b.id, kind: kindStage}.path(live)
		if state, err := lookAt(stage); err == nil {
			lock, err := lockOrphan(stage, state)
			if err != nil {
				return nil
			}
			defer lock.Close()
		}
	case kindStage:
	default:
		return nil
	}
	return o.removed(name, os.Remove(name))
}

// wasOverwritten reports whether the live database is another one than that which a
// copy was made of. It is not if it has the same inode and schema cookie: writing in
// place changes the cookie. One that can't be read now may be another time.
func wasOverwritten(live string, b beside) (bool, error) {
	state, err := lookAt(live)
	if errors.Is(err, fs.ErrNotExist) || err == nil && state.ino != b.b {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	conn, err := (&sqlite3.SQLiteDriver{}).Open(dbpath.URI(live, "mode=rw"))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	cookie, err := queryInt(conn.(*sqlite3.SQLiteConn), "PRAGMA schema_version")
	return uint64(uint32(cookie)) != b.a, err
}

// lockOrphan takes the lock that a process at work with the file would have; an
// error says that one has it, or that the file must not be opened: to close it
// again would drop the locks of a connection of this process.
func lockOrphan(name string, state fileState) (*os.File, error) {
	if open, err := openers.Here(state.inode()); err != nil || open {
		return nil, errors.Join(err, unix.EBUSY)
	}
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	for _, look := range []func() (fileState, error){func() (fileState, error) { return lookThrough(f) }, func() (fileState, error) { return lookAt(name) }} {
		var now fileState
		if err == nil {
			now, err = look()
		}
		if err == nil && (!now.is(state) || now.nlink != 1) {
			err = unix.EBUSY // another file by now
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (o *Orphans) remove(name string) error {
	for _, suffix := range sqlitefile.Sidecars {
		info, err := os.Lstat(name + suffix)
		if err != nil && !sqlitefile.Absent(err) {
			return err
		}
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if err := ignoreNotExist(os.Remove(name + suffix)); err != nil {
			return err
		}
	}
	return o.removed(name, os.Remove(name))
}

func (o *Orphans) removed(name string, err error) error {
	if err == nil {
		o.Removed = append(o.Removed, name)
	}
	return ignoreNotExist(err)
}

func (o *Orphans) nameBackup(name string, b beside, live string) error {
	// Of two of them each is the only copy of something.
	simple := backups.SimplePath(live)
	if state, err := lookAt(simple); b.wanted() == backups.Simple && (o.Backup != "" || err == nil && !state.mode.IsRegular() || isManaged(simple)) {
		return o.moveAside(name, b, live)
	}
	path, err := renameToBackup(name, live, b.wanted())
	if errors.Is(err, unix.ENAMETOOLONG) {
		return o.moveAside(name, b, live)
	}
	if err != nil {
		return fmt.Errorf("name the backup of an interrupted push: %w", err)
	}
	o.Backup = path
	return syncPath(filepath.Dir(live))
}

// keepOlderBackup moves the backup of an earlier push aside.
func (o *Orphans) keepOlderBackup(b beside, live string) error {
	older := backups.SimplePath(live)
	if state, err := lookAt(older); o.Backup != "" || err != nil || !state.mode.IsRegular() || isManaged(older) {
		return nil // there is none, or nameBackup leaves it alone
	}
	for _, suffix := range sqlitefile.Sidecars { // before it, so that it is never alone
		if err := renameFree(older+suffix, asideName(b.id, live)+suffix); err != nil && !sqlitefile.Absent(err) {
			return fmt.Errorf("keep the backup of an earlier push: %w", err)
		}
	}
	return o.moveAside(older, b, live)
}

func (o *Orphans) moveAside(name string, b beside, live string) error {
	to, err := moveAside(name, b.id, live)
	if err != nil {
		return ignoreNotExist(err)
	}
	o.Aside = append(o.Aside, to)
	return nil
}

// moveAside gives a file that is not to be lost a name that can be seen.
func moveAside(name, id, live string) (string, error) {
	to := asideName(id, live)
	err := renameFree(name, to)
	if errors.Is(err, errors.ErrUnsupported) {
		if _, err := os.Lstat(to); err == nil {
			return "", &os.PathError{Op: "move aside to", Path: to, Err: fs.ErrExist}
		}
		err = os.Rename(name, to)
	}
	return to, err
}

func asideName(id, live string) string {
	return filepath.Join(filepath.Dir(live), shorten(filepath.Base(live), 200)+".set-aside-"+id)
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
