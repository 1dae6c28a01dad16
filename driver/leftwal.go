package driver

import (
	"fmt"
	"os"

	"hotswap/internal/fileid"
	"hotswap/internal/sqlitefile"
)

// leftWAL is the WAL that a replaced file has left beside the one that is at the path
// now. Whoever opens that would replay it there.
type leftWAL struct {
	path string
	wal  fileid.ID
	file fileid.ID // the replaced one
	why  string    // it is still there
}

// clear removes the WAL if it is empty, and otherwise gives it another name, aside,
// since it may still be wanted: another process has the replaced file open, or the WAL
// could not be moved into that. Nothing is done to a file that may be another one's
// WAL.
func (l leftWAL) clear() (aside string, err error) {
	name := l.path + "-wal"
	if now, err := fileid.Look(name); err != nil || now != l.wal {
		return "", err // gone, or the new file's own by now
	}
	if at, err := fileid.Look(l.path); err != nil || at == l.file {
		return "", err // it is where it belongs
	}
	info, err := os.Stat(name)
	if err == nil && info.Size() == 0 || err != nil && sqlitefile.Absent(err) {
		os.Remove(name) // one that stays does no harm
		return "", nil
	}
	aside = fmt.Sprintf("%s.of-replaced-%d", name, l.file.Ino)
	if err := os.Rename(name, aside); err != nil {
		return "", err
	}
	return aside, nil
}
