package testapp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// contents is what [Check] needs to know of a file.
type contents struct {
	file File
	// rows are all its writes, own those that its base lacks.
	rows, own map[ID]rowSet
	base      map[ID]rowSet
	// counter is the shared counter, baseCounter what the base had.
	counter, baseCounter int64
	// stamps counts the rows of each generation, by table.
	stamps []stampCount
}

// rowSet is how often each part of a write is in a file.
type rowSet struct {
	parts int64 // how many parts the write has, by its own word
	count map[int64]int64
}

// whole tells whether each part is there.
func (r rowSet) whole() bool {
	for p := int64(1); p <= r.parts; p++ {
		if r.count[p] == 0 {
			return false
		}
	}
	return true
}

type stampCount struct {
	table      string
	generation uint64
	rows       int64
}

func readContents(ctx context.Context, f File) (*contents, error) {
	c := &contents{file: f}
	err := withImmutable(f.Path, func(db *sql.DB) (err error) {
		if c.rows, c.counter, err = readWrites(ctx, db); err != nil {
			return err
		}
		c.stamps, err = readStamps(ctx, db)
		return err
	})
	if err == nil && f.Base != "" {
		err = withImmutable(f.Base, func(db *sql.DB) (err error) {
			c.base, c.baseCounter, err = readWrites(ctx, db)
			return err
		})
	}
	c.own = make(map[ID]rowSet, len(c.rows))
	for id, r := range c.rows {
		if _, ok := c.base[id]; !ok {
			c.own[id] = r
		}
	}
	return c, err
}

func withImmutable(path string, fn func(*sql.DB) error) error {
	db, err := openImmutable(path)
	if err != nil {
		return err
	}
	if err := errors.Join(fn(db), db.Close()); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

func readWrites(ctx context.Context, db *sql.DB) (map[ID]rowSet, int64, error) {
	// NOT INDEXED: what is in the table is what counts, whatever an index says.
	rows, err := db.QueryContext(ctx, `SELECT writer, seq, part, parts FROM testapp_write NOT INDEXED`)
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	found := make(map[ID]rowSet)
	for rows.Next() {
		var id ID
		var part, parts int64
		if err := rows.Scan(&id.Writer, &id.Seq, &part, &parts); err != nil {
			return nil, 0, err
		}
		r, ok := found[id]
		if !ok {
			r = rowSet{parts: parts, count: make(map[int64]int64)}
			found[id] = r
		}
		r.count[part]++
	}
	if err := rows.Err(); err != nil {
		return nil, 0, err
	}
	var counter int64
	err = db.QueryRowContext(ctx, `SELECT value FROM testapp_counter WHERE name = ?`, counterName).Scan(&counter)
	return found, counter, err
}

func readStamps(ctx context.Context, db *sql.DB) ([]stampCount, error) {
	tables, err := stampedTables(ctx, db)
	if err != nil {
		return nil, err
	}
	var stamps []stampCount
	for _, t := range tables {
		rows, err := db.QueryContext(ctx, `SELECT generation, count(*) FROM `+t+` GROUP BY generation`)
		if err != nil {
			return nil, err
		}
		for rows.Next() {
			s := stampCount{table: t}
			if err := rows.Scan(&s.generation, &s.rows); err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			stamps = append(stamps, s)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return nil, err
		}
	}
	return stamps, nil
}

// checkFile looks at the file alone, and at its base.
func (c *contents) checkFile(v *Verdict) {
	g := c.file.Generation
	for id, r := range c.rows {
		if !r.whole() {
			v.add(Half, "write %s has some but not all of its %d rows in the file of generation %d", id, r.parts, g)
		}
		for part, n := range r.count {
			if n > 1 {
				v.add(Doubled, "write %s has its row %d of %d in the file of generation %d %d times", id, part, r.parts, g, n)
			}
		}
	}
	for id := range c.base {
		if _, ok := c.rows[id]; !ok {
			v.add(Lost, "write %s came with the file of generation %d and is gone from it", id, g)
		}
	}
	stamps := int64(0)
	for _, s := range c.stamps {
		if s.generation != g {
			v.add(Mixed, "the file of generation %d has %d rows of generation %d in table %s", g, s.rows, s.generation, s.table)
		}
		if s.table == "testapp_generation" {
			stamps += s.rows
		}
	}
	if stamps != stampRows {
		v.add(Mixed, "the file of generation %d has %d stamps of %d", g, stamps, stampRows)
	}
}

// Summary is what [Inspect] sees in a file.
type Summary struct {
	Generation uint64
	Writes     int // of the history, counter updates left out
	Tables     int
}

// Inspect looks into a file, which nobody may have open. The error is also for
// a file that holds more than one generation.
func Inspect(ctx context.Context, path string) (s Summary, err error) {
	c, err := readContents(ctx, File{Path: path})
	if err == nil {
		err = withImmutable(path, func(db *sql.DB) error {
			names, err := tableNames(ctx, db, "true")
			s.Tables = len(names)
			return err
		})
	}
	if err != nil {
		return s, err
	}
	if len(c.stamps) == 0 {
		return s, fmt.Errorf("inspect %s: no stamps", path)
	}
	s.Writes, s.Generation = len(c.rows), c.stamps[0].generation
	for _, t := range c.stamps {
		if t.generation != s.Generation {
			return s, fmt.Errorf("inspect %s: generations %d and %d are mixed", path, s.Generation, t.generation)
		}
	}
	return s, nil
}
