package swapper

import (
	"errors"
	"fmt"
	"path/filepath"

	"hotswap/internal/backups"
	"hotswap/internal/printable"
)

// What to do about a full disk differs: the files of a push and of a pull are beside the
// database, wherever the source or the destination is.

// noRoom adds that to the error of a stage which does not fit.
func (p *push) noRoom(err error) error {
	if !errors.Is(err, ErrNoSpace) {
		return err
	}
	hint := "the new database is first written beside the live one: make room there and try again"
	if p.stage != nil && p.stage.urgent { // which may be of a backup
		return &failure{cause: err, hint: hint}
	}
	if kept, err := backups.List(p.target.path); err == nil && len(kept) > 0 {
		last := kept[len(kept)-1] // the oldest, or the one without a number
		hint += fmt.Sprintf(", maybe by moving a backup elsewhere (%s has %s)", printable.Line(filepath.Base(last.Path)), printable.Size(last.Info.Size()))
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
