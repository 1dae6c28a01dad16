package swapper

import (
	"errors"

	"hotswap/driver"
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
func strange(err error) error {
	if !errors.Is(err, driver.ErrReplaced) {
		return failed("see whether the program uses the file at the path", err)
	}
	return &failure{text: "the program does not use the file at the path", cause: err, kinds: []error{ErrBusy}, hint: strangeHint}
}

// strangeHint says how to go on with a file that the program does not use: there can be
// no push or pull before it is gone or replaced. A program that refuses the files of
// others (driver.RefuseReplaced) wants the old one.
const strangeHint = "move a whole database there with mv, and the program goes on with that; or move this file away, and push; " +
	"or, if the program refuses what others put there, move the old one back or restart it"
