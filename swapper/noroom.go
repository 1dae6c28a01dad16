package swapper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
)

// What to do about a full disk differs: the files of a push and of a pull are beside the
// database, wherever the source or the destination is.

// noRoom adds that to the error of a stage which does not fit.
func (p *push) noRoom(err error) error {
	if !errors.Is(err, ErrNoSpace) {
		return err
	}
	hint := "the new database is first written beside the live one: make room there and try again"
	backup := p.target.path + sqlitefile.BackupSuffix
	if info, err := os.Lstat(backup); err == nil && info.Mode().IsRegular() {
		hint += fmt.Sprintf(", maybe by moving the backup elsewhere (%s has %s)", printable.Line(filepath.Base(backup)), printable.Size(info.Size()))
	}
	if p.stage != nil && p.stage.after > 0 {
		hint += "; by rename a push takes half as much (--method=rename)"
	}
	return &failure{cause: err, hint: hint}
}

// noRoom is push.noRoom of a snapshot.
func (p *pull) noRoom(err error) error {
	if !errors.Is(err, ErrNoSpace) {
		return err
	}
	return &failure{cause: err, hint: "a pull takes its snapshot on the database's own disk: make room there and try again, " +
		`or have SQLite copy it to another disk: sqlite3 DB ".backup /elsewhere/COPY"`}
}
