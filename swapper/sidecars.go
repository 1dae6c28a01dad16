package swapper

import (
	"errors"
	"fmt"
	"os"

	"hotswap/internal/sqlitefile"
	"hotswap/internal/unix"
)

// The files beside the live database: SQLite reads them with whatever file is at its path.

// clearSidecars proves that the live database's sidecars hold nothing, and
// removes them: a WAL that stayed would be replayed into the new file. After the
// last close of a database in WAL mode there are none, unless another process
// has it open, or the last connection was one that may not write it (mode=ro). alone says
// that a lease proves that nobody has it open.
func (t *target) clearSidecars(wal, alone bool) error {
	for _, suffix := range sqlitefile.Sidecars {
		name := t.path + suffix
		info, err := os.Lstat(name)
		if sqlitefile.Absent(err) {
			continue
		}
		if err != nil {
			return failed("inspect "+name, err)
		}
		if !info.Mode().IsRegular() {
			return &failure{text: fmt.Sprintf("%s is not a regular file (it is %s)", name, sqlitefile.KindOf(info.Mode())), kinds: []error{ErrTarget},
				hint: "find out what put it there, and move it away"}
		}
		holds := info.Size() > 0
		switch suffix {
		case "-shm":
			// Only an index of the WAL, but somebody's, who has the database open as well.
			holds = wal && !alone
		case "-journal":
			if holds {
				if holds, err = hotJournal(name); err != nil {
					return failed("read "+name, err)
				}
			}
		}
		switch {
		case holds && t.empty():
			return &failure{text: fmt.Sprintf("%s is left over from a database that is gone, and would be replayed into the new one", name),
				kinds: []error{ErrTarget}, hint: "move it away and try again"}
		case holds:
			return &failure{text: name + " still has content: another process has the database open, or the disk refused it", kinds: []error{ErrBusy},
				hint: "stop the other process, or check the disk, and try again", inPlace: true}
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return failed("remove "+name, err)
		}
	}
	return nil
}

// hotJournal reports whether a journal may have to be rolled back: its header
// is zeroed when a transaction ends in journal mode PERSIST
// (https://www.sqlite.org/fileformat2.html#the_rollback_journal).
func hotJournal(name string) (bool, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [8]byte
	if _, err := f.Read(head[:]); err != nil {
		return false, err
	}
	return head != [8]byte{}, nil
}

// syncSidecar syncs a journal, if it is there: a journal that is kept was truncated, or
// has its header zeroed.
func syncSidecar(name string) error {
	f, err := openSidecar(name)
	if sqlitefile.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

func openSidecar(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}
