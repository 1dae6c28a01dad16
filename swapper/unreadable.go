package swapper

import (
	"errors"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// unreadable reports whether err says that the live file is no database, or none
// that SQLite can read: there is nothing in it to compare with or to write back.
func unreadable(err error) bool {
	se, ok := errors.AsType[sqlite3.Error](err)
	return ok && (se.Code == sqlite3.ErrNotADB || se.Code == sqlite3.ErrCorrupt)
}

// notRead notes that the live database can't be read, and why. Unless the schema is to
// be compared it can still be replaced, by rename; it and what is beside it are kept if
// the push keeps a backup.
func (p *push) notRead(cause error) {
	p.unread = cause
	p.events.warn("the live database can't be read", map[string]any{"error": cause.Error()})
}

// errUnread refuses what needs the live database to be read.
func (p *push) errUnread(so string) error {
	return &failure{
		text: "the live database can't be read, so " + so, cause: p.unread, kinds: []error{ErrTarget},
		hint: "push with --skip-schema-check to replace it anyway, and with --backup to keep it as it is, with its -wal",
	}
}
