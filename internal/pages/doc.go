// Package pages writes one SQLite database over another, and of it no more than the
// pages that differ.
//
// [Diff] finds those: it is where a snapshot (package snapshot) goes that is compared
// rather than kept. [Backup] writes them, by SQLite's backup interface, in one
// transaction of the database that is written over.
//
// # How pages are passed over
//
// SQLite has no call by which a backup leaves a page out: it writes each of the source's
// through the pager of the destination, which journals it or appends it to the log, equal
// or not. sqlite_dbpage writes single pages, and is not compiled into SQLite unless asked
// for; go-sqlite3 does not ask.
//
// But a backup does one page after the other, and has a counter of the next one. A
// Backup sets this counter on. Where it is, no header of SQLite's says, and it has moved
// from one version to the next; so it is found by what it does: it is the only word of
// the backup's memory that is 1 before the first page, 2 after it, and 3 after the
// second, as sqlite3_backup_remaining says, too. If there is not exactly one, nothing is
// passed over. After each step that came after a jump, sqlite3_backup_remaining has to
// say what it must; if not, the step fails, and the transaction is rolled back.
//
// All else is SQLite's, as if the pages that were passed over had been copied: the locks,
// the journal, the first page with the schema cookie that tells readers, the size, and
// the commit.
package pages
