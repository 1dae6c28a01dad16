package testapp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"hotswap/internal/sqlitefile"
)

// plainDriver is raw go-sqlite3. It is for files that no service has open: to
// make fixtures and to look into replaced files.
const plainDriver = "sqlite3"

// stampRows is how many rows carry the generation, each on a page of its own.
const stampRows = 64

// stampFiller makes two stamps too big for one page of 4096 bytes.
const stampFiller = 2500

// counterName is the row of testapp_counter that all writers share.
const counterName = "shared"

// schema is what the service needs. testapp_write has no unique key: a write
// that was run twice must leave two rows to be found, not a failed call.
var schema = []string{
	`CREATE TABLE testapp_generation (id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, filler BLOB NOT NULL)`,
	`CREATE TABLE testapp_write (writer TEXT NOT NULL, seq INTEGER NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL)`,
	`CREATE INDEX testapp_write_id ON testapp_write (writer, seq)`,
	`CREATE TABLE testapp_counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID`,
	`CREATE TABLE testapp_job (id INTEGER PRIMARY KEY, state TEXT NOT NULL DEFAULT 'pending', token TEXT)`,
	`CREATE INDEX testapp_job_pending ON testapp_job (id) WHERE state = 'pending'`,
}

// createSchema makes the service's tables, with no stamps in them yet.
func createSchema(ctx context.Context, tx *sql.Tx) error {
	for _, s := range schema {
		if _, err := tx.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("create the testapp tables: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO testapp_counter VALUES (?, 0)`, counterName); err != nil {
		return fmt.Errorf("create the counter: %w", err)
	}
	return nil
}

// ensureSchema adds the service's tables to a database that lacks them, in one
// transaction, and stamps it as generation.
func ensureSchema(ctx context.Context, db *sql.DB, generation uint64) (err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("create the testapp tables: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	var n int
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'testapp_generation'`).Scan(&n); err != nil {
		return fmt.Errorf("look for the testapp tables: %w", err)
	}
	if n == 0 {
		if err := createSchema(ctx, tx); err != nil {
			return err
		}
		for i := range stampRows {
			if err := insertStamp(ctx, tx, i, generation); err != nil {
				return err
			}
		}
	}
	return tx.Commit()
}

func insertStamp(ctx context.Context, tx *sql.Tx, i int, generation uint64) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO testapp_generation VALUES (?, ?, zeroblob(?))`, i+1, generation, stampFiller)
	if err != nil {
		return fmt.Errorf("stamp generation %d: %w", generation, err)
	}
	return nil
}

// dsn is the data source name of a path, whatever characters it has, with
// go-sqlite3's parameters.
func dsn(path string, params url.Values) string {
	u := url.URL{Path: path}
	return "file:" + u.EscapedPath() + "?" + params.Encode()
}

// openPlain opens a file that no service has open, to change it. Nothing is
// synced: who makes a fixture can make it again.
func openPlain(path string) (*sql.DB, error) {
	return openOne(dsn(path, url.Values{"_synchronous": {"OFF"}}))
}

// openImmutable opens a file that nobody has open, to read it, and leaves no
// sidecar behind. A file whose WAL still holds something is refused, since an
// immutable reader would not see that.
func openImmutable(path string) (*sql.DB, error) {
	switch suffix, err := sqlitefile.Pending(path); {
	case err != nil:
		return nil, err
	case suffix != "":
		return nil, fmt.Errorf("read %s: %s is not empty: close the database first", path, filepath.Base(path)+suffix)
	}
	return openOne(dsn(path, url.Values{"mode": {"ro"}, "immutable": {"1"}}))
}

// openOne opens a pool of one connection, so that what a session sets holds
// for all that follows.
func openOne(name string) (*sql.DB, error) {
	db, err := sql.Open(plainDriver, name)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}
