package repository

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"hotswap/driver"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// source is a copy of the file that is published, which nothing writes to. It is beside
// the file until it is closed.
type source struct {
	held     transfer.Held
	size     int64
	pageSize int64
	schema   string
}

func (s *source) close() { s.held.Release() }

// openSource takes a copy, of one moment, and checks it as a push checks what it is given.
func openSource(ctx context.Context, path string, opts PublishOptions) (*source, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("open the database: %w", err)
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory; name the database file in it", path)
	}
	if err := looksRight(path, info); err != nil {
		return nil, err
	}
	// What a publisher that was killed has left; that it can't be removed is no reason not to
	// publish.
	swapper.RemoveOrphans(path)
	db, release, err := driver.Manage(path)
	if err != nil {
		return nil, err
	}
	defer release()
	var s source
	_, err = swapper.Pull(ctx, db, holder{&s}, swapper.PullOptions{Dest: "the engine",
		Check: !opts.SkipCheck, SkipConstraintCheck: opts.SkipConstraintCheck})
	if err != nil {
		return nil, ended(ctx, refused(path, err))
	}
	if err := s.inspect(ctx); err != nil {
		s.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &s, nil
}

// looksRight refuses what is not a database by how it begins.
func looksRight(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return noDatabase{fmt.Errorf("%s is not a regular file", path)}
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer f.Close()
	head := make([]byte, sqlitefile.HeaderSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if _, err := sqlitefile.Parse(head[:n]); err != nil {
		return noDatabase{fmt.Errorf("%s: %w", path, err)}
	}
	return nil
}

// noDatabase is a swapper.ErrBadDatabase whose text says what it is instead.
type noDatabase struct{ error }

func (n noDatabase) Is(target error) bool { return target == swapper.ErrBadDatabase }
func (n noDatabase) Unwrap() error        { return n.error }

// refused is the error of a pull, of a database that is not live.
func refused(path string, err error) error {
	if e, ok := errors.AsType[*swapper.Error](err); ok {
		return &refusal{path, e}
	}
	return err
}

type refusal struct {
	path string
	err  *swapper.Error
}

func (r *refusal) Error() string {
	return r.path + ": " + strings.ReplaceAll(r.err.Err.Error(), "the live database", "the database")
}

func (r *refusal) Unwrap() error { return r.err }

// holder takes over the copy that a pull has made, instead of having it written.
type holder struct{ s *source }

func (holder) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }
func (h holder) Hold(held transfer.Held) { h.s.held, h.s.size = held, held.Size() }

// inspect reads what the manifest says of the database.
func (s *source) inspect(ctx context.Context) error {
	header, err := sqlitefile.ReadHeader(s.held)
	if err != nil {
		return fmt.Errorf("read the header: %w", err)
	}
	if !header.ValidPageSize() {
		return noDatabase{fmt.Errorf("the header says pages of %d bytes", header.PageSize)}
	}
	if err := header.Whole(s.size); err != nil {
		return noDatabase{err}
	}
	s.pageSize = header.PageSize
	place, ok := s.held.(interface{ Path() string })
	if !ok {
		return fs.ErrInvalid
	}
	s.schema, err = schemaDigest(ctx, place.Path())
	return err
}

// schemaDigest names the schema of a database to which nothing writes.
func schemaDigest(ctx context.Context, path string) (string, error) {
	pool, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "mode=ro&immutable=1"}).String())
	if err != nil {
		return "", err
	}
	defer pool.Close()
	rows, err := pool.QueryContext(ctx, `SELECT type, name, coalesce(sql, '') FROM main.sqlite_schema
		WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY type, name`)
	if err != nil {
		return "", fmt.Errorf("read the schema: %w", err)
	}
	defer rows.Close()
	hash := sha256.New()
	for rows.Next() {
		var kind, name, text string
		if err := rows.Scan(&kind, &name, &text); err != nil {
			return "", fmt.Errorf("read the schema: %w", err)
		}
		fmt.Fprintf(hash, "%s\x00%s\x00%s\x00", kind, name, text)
	}
	return hex.EncodeToString(hash.Sum(nil)), rows.Err()
}
