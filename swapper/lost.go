package swapper

import (
	"errors"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/livefile"
)

// lost is the error of a database whose file, or write-ahead log, was removed or moved
// away by somebody while the program has it open; nil of any other.
func lost(db *driver.Database) error {
	found, ok := errors.AsType[*livefile.LostError](livefile.Lost(db))
	switch {
	case !ok:
		return nil
	case found.WAL:
		return &failure{text: found.What, kinds: []error{ErrTarget}, hint: found.Hint}
	}
	return &failure{text: found.What, kinds: []error{ErrNotExist}, hint: found.Hint}
}

// strange is the error of a file at the path that is not the program's.
func strange(db *driver.Database, err error) error {
	if !errors.Is(err, driver.ErrReplaced) {
		return failed("see whether the program uses the file at the path", err)
	}
	f := &failure{text: "the program does not use the file at the path", cause: err, kinds: []error{ErrTarget}, hint: strangeHint}
	if inside.Of(db).Whole() { // and it may yet
		f.kinds = []error{ErrBusy}
	}
	return f
}
