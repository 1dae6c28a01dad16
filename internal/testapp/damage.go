package testapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Damage is a way in which a database is bad.
type Damage string

// What a push must refuse.
const (
	Empty       Damage = "empty"        // no bytes at all
	Cut         Damage = "cut"          // ends in the middle of a page
	CutAtPage   Damage = "cut at page"  // ends early, at a page's end
	Noise       Damage = "noise"        // random bytes, as many as there were
	CorruptPage Damage = "corrupt page" // one page of a table is noise, the length and the header are right
	StaleIndex  Damage = "stale index"  // an index that has the old value of a row: integrity_check sees it, quick_check does not
	WrongSchema Damage = "wrong schema" // a sound database with a column too many
)

// Damages lists them all.
func Damages() []Damage {
	return []Damage{Empty, Cut, CutAtPage, Noise, CorruptPage, StaleIndex, WrongSchema}
}

// Spoil copies the database file src, which nobody may have open and which has
// the service's tables, to dst and damages the copy.
func Spoil(ctx context.Context, src, dst string, d Damage) error {
	err := copyFile(src, dst)
	if err == nil {
		err = d.apply(ctx, dst)
	}
	if err != nil {
		return fmt.Errorf("make a copy of %s that is bad (%s): %w", src, d, err)
	}
	return nil
}

func (d Damage) apply(ctx context.Context, path string) error {
	switch d {
	case StaleIndex:
		return leaveIndexBehind(ctx, path)
	case WrongSchema:
		return execPlain(ctx, path, `ALTER TABLE testapp_job ADD COLUMN surplus TEXT`)
	}
	page, size, err := jobPage(ctx, path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(d.applyBytes(f, page, size), f.Close())
}

// applyBytes damages the file below SQLite. page and size are those of a page
// that is in use.
func (d Damage) applyBytes(f *os.File, page, size int64) error {
	length, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	rnd := newNoise(1, uint64(length))
	switch d {
	case Empty:
		return f.Truncate(0)
	case Cut:
		return f.Truncate(length/2/size*size + size/3)
	case CutAtPage:
		return f.Truncate(length / 2 / size * size)
	case Noise:
		return writeNoise(f, rnd, 0, length)
	case CorruptPage:
		return writeNoise(f, rnd, (page-1)*size, size)
	default:
		return fmt.Errorf("no damage is called %q", d)
	}
}

func writeNoise(f *os.File, rnd noise, off, n int64) error {
	p := make([]byte, n)
	rnd.read(p)
	_, err := f.WriteAt(p, off)
	return err
}

// jobPage finds the root page of testapp_job, and the page size.
func jobPage(ctx context.Context, path string) (page, size int64, err error) {
	db, err := openImmutable(path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.QueryRowContext(ctx, `SELECT rootpage FROM sqlite_schema WHERE name = 'testapp_job'`).Scan(&page); err != nil {
		return 0, 0, err
	}
	err = db.QueryRowContext(ctx, `PRAGMA page_size`).Scan(&size)
	return page, size, err
}

// leaveIndexBehind hides an index from SQLite while a row is changed. Each
// step has a connection of its own, since one would remember the schema.
func leaveIndexBehind(ctx context.Context, path string) error {
	for _, s := range []string{
		`INSERT INTO testapp_write VALUES ('indexed', 1, 1, 1);
		 CREATE TABLE testapp_hidden AS SELECT * FROM sqlite_schema WHERE name = 'testapp_write_id';
		 PRAGMA writable_schema = ON;
		 DELETE FROM sqlite_schema WHERE name = 'testapp_write_id'`,
		`UPDATE testapp_write SET writer = 'unindexed' WHERE writer = 'indexed'`,
		`PRAGMA writable_schema = ON;
		 INSERT INTO sqlite_schema SELECT * FROM testapp_hidden`,
		`DROP TABLE testapp_hidden`,
	} {
		if err := execPlain(ctx, path, s); err != nil {
			return err
		}
	}
	return nil
}

func execPlain(ctx context.Context, path, query string, args ...any) error {
	db, err := openPlain(path)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, query, args...)
	return errors.Join(err, db.Close())
}
