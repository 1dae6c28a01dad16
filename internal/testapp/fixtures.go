package testapp

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
)

// Fixture describes a database to make. The zero value is one of about 4 MB
// with 8 data tables. Every row of the data tables carries the generation too,
// so the whole file tells which one it is.
type Fixture struct {
	// Size is about how big the file gets, in bytes; 0 means 4 MiB. No file is
	// smaller than its stamps, about 300 kB.
	Size int64
	// Tables is how many data tables it has; 0 means 8.
	Tables int
	// JournalMode is "delete" (the default) or "wal".
	JournalMode string
	// Seed varies the content; the same Fixture and generation always make the
	// same bytes.
	Seed uint64
}

// dataPayload is how many bytes a data row carries: about four rows to a page.
const dataPayload = 900

// dataRowBytes is what a data row takes in the file, its share of the index
// and of half-empty pages included.
const dataRowBytes = 1060

// Make writes a new database to path, which must not exist, stamped with
// generation. Fixtures of the same Size, Tables and JournalMode have the same
// schema and the same layout, page by page.
func (f Fixture) Make(ctx context.Context, path string, generation uint64) (err error) {
	if f.Size == 0 {
		f.Size = 4 << 20
	}
	if f.Tables == 0 {
		f.Tables = 8
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("make a fixture: %s exists", path)
	}
	db, err := openPlain(path)
	if err != nil {
		return fmt.Errorf("make the fixture %s: %w", path, err)
	}
	defer func() {
		if err = errors.Join(err, db.Close()); err != nil {
			err = fmt.Errorf("make the fixture %s: %w", path, err)
		}
	}()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f.fill(ctx, tx, generation); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if f.JournalMode != "" {
		_, err = db.ExecContext(ctx, `PRAGMA journal_mode = `+f.JournalMode)
	}
	return err
}

// fill spreads the stamps over the file: between two of them come data rows.
func (f Fixture) fill(ctx context.Context, tx *sql.Tx, generation uint64) error {
	if err := createSchema(ctx, tx); err != nil {
		return err
	}
	inserts := make([]*sql.Stmt, f.Tables)
	for i := range inserts {
		name := fmt.Sprintf("testapp_data_%02d", i+1)
		_, err := tx.ExecContext(ctx, fmt.Sprintf(
			`CREATE TABLE %[1]s (id INTEGER PRIMARY KEY, generation INTEGER NOT NULL, name TEXT NOT NULL, payload BLOB NOT NULL);
			 CREATE INDEX %[1]s_name ON %[1]s (name)`, name))
		if err != nil {
			return err
		}
		inserts[i], err = tx.PrepareContext(ctx, `INSERT INTO `+name+` (generation, name, payload) VALUES (?, ?, ?)`)
		if err != nil {
			return err
		}
		defer inserts[i].Close()
	}
	rnd := newNoise(f.Seed, generation)
	payload := make([]byte, dataPayload)
	rows := max(0, f.Size-stampRows*4096) / dataRowBytes
	done := int64(0)
	for i := range stampRows {
		if err := insertStamp(ctx, tx, i, generation); err != nil {
			return err
		}
		for ; done < rows*int64(i+1)/stampRows; done++ {
			rnd.read(payload)
			// The names come in the same order in every generation, so that the
			// indexes have the same layout too.
			name := fmt.Sprintf("row-%016x", uint64(done)*0x9e3779b97f4a7c15)
			if _, err := inserts[done%int64(f.Tables)].ExecContext(ctx, generation, name, payload); err != nil {
				return err
			}
		}
	}
	return nil
}

// Restamp copies the database file src, which nobody may have open, to dst and
// stamps the copy with generation. Everything else in it stays.
func Restamp(ctx context.Context, src, dst string, generation uint64) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("stamp a copy of %s: %w", src, err)
		}
	}()
	if err := copyFile(src, dst); err != nil {
		return err
	}
	db, err := openPlain(dst)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := ensureSchema(ctx, db, generation); err != nil {
		return err
	}
	tables, err := stampedTables(ctx, db)
	if err != nil {
		return err
	}
	for _, t := range tables {
		if _, err := db.ExecContext(ctx, `UPDATE `+t+` SET generation = ?`, generation); err != nil {
			return err
		}
	}
	return nil
}

// stampedTables lists the tables whose rows carry the generation.
func stampedTables(ctx context.Context, db *sql.DB) ([]string, error) {
	names, err := tableNames(ctx, db, `name = 'testapp_generation' OR name GLOB 'testapp_data_*'`)
	for _, name := range names {
		if strings.ContainsAny(name, "\" ;") {
			return nil, fmt.Errorf("a table is named %q", name)
		}
	}
	return names, err
}

// copyFile copies a file that nobody has open; dst must not exist.
func copyFile(src, dst string) (err error) {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// noise yields bytes that depend on nothing but its two seeds.
type noise struct{ pcg *rand.PCG }

func newNoise(a, b uint64) noise { return noise{rand.NewPCG(a, b)} }

func (n noise) read(p []byte) {
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, n.pcg.Uint64())
		p = p[8:]
	}
	for i := range p {
		p[i] = byte(n.pcg.Uint64())
	}
}
