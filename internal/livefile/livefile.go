// Package livefile looks at the database file that a program has open. It opens
// nothing and takes no lock: closing a descriptor of the file would drop the locks that
// SQLite has on it in this process, and whoever has the database locked is not waited
// for. What can only be read in the file itself is read through a descriptor that a
// connection has already, on Linux; elsewhere it is not known.
package livefile

import (
	"hotswap/internal/openers"
	"hotswap/internal/sqlitefile"
)

// JournalMode returns "wal", "rollback", or "" while it is not known: no connection of
// this process has the database at path open, or the system is not Linux. Which sort
// of rollback journal it is every connection decides for itself.
func JournalMode(path string) string {
	file, ok := openers.InodeOf(path)
	if !ok {
		return ""
	}
	h, ok := header(file)
	switch {
	case !ok:
		return ""
	case h.Versions.WAL():
		return "wal"
	default:
		return "rollback"
	}
}

// header decodes the header of a database that a connection of this process has open;
// false if none has, or the file is not a database.
func header(file openers.Inode) (h sqlitefile.Header, ok bool) {
	head := openers.Head(file, sqlitefile.HeaderSize)
	if !sqlitefile.HasMagic(head) {
		return h, false
	}
	return sqlitefile.Decode(head), true
}
