package swapper

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/session"
	"hotswap/internal/sqlitefile"
)

// integrity is a run of integrity_check, or quick_check, on a stage: what it is
// called in messages, and what of it matters.
type integrity struct {
	subject         string // "the source", say
	quick           bool
	skipConstraints bool
	hook            hookTrial
}

// checkIntegrity runs it. Three things would make SQLite's check less than whole:
//
//   - on a connection that can only read, CHECK constraints are not parsed. So it
//     is one that may write, by its mode; query_only keeps it from that, and nolock
//     keeps a connect hook from making it a WAL database;
//   - if the first of the root pages that it collects is 0, of a view or a virtual
//     table, it takes the check for one of a single table, and looks neither at
//     the freelist nor for pages that belong to nothing, or to two. So it is run
//     on a schema without those: see hideViewsAndVirtualTables;
//   - it looks at every attached database, so a hook that attaches another would
//     have that one checked, too. So it names the main one.
//
// The stage is left as it was, to the byte, which is looked at in its header: no
// transaction of SQLite's leaves that as it was.
func (s *stage) checkIntegrity(ctx context.Context, db *driver.Database, what integrity) (err error) {
	before, restore, err := s.asRollback()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	v := verdict{subject: what.subject, skipConstraints: what.skipConstraints}
	pool, err := s.openToCheck(ctx, db, what.hook, &v)
	if err != nil {
		return err
	}
	defer pool.Close()
	c := &checkup{pool: pool, file: s.file, verdict: &v, pragma: "integrity_check", sideBySide: sideBySide()}
	if what.quick {
		c.pragma = "quick_check"
	}
	if err := c.run(ctx, s.readQuickly()); err != nil {
		return err
	}
	if err := pool.Close(); err != nil {
		return failed("close the stage after its check", err)
	}
	after, err := s.head()
	if err != nil {
		return err
	}
	if !bytes.Equal(before, after) {
		return &failure{text: "the program's connect hook wrote into " + what.subject + " while it was checked", kinds: []error{ErrBadDatabase},
			hint: "let the hook write only into the program's own database"}
	}
	return s.assertAlone()
}

// asRollback makes the stage a file that is opened without a WAL, if it is not, until
// restore, and returns how it begins then. No connection may be open on it.
func (s *stage) asRollback() (head []byte, restore func() error, err error) {
	if head, err = s.head(); err != nil {
		return nil, nil, err
	}
	was := sqlitefile.Decode(head).Versions
	if was.Rollback() {
		return head, func() error { return nil }, nil
	}
	s.digest.pastHeader()
	if err := sqlitefile.SetJournal(s.file, false); err != nil {
		return nil, nil, failed("open the stage without a WAL", err)
	}
	restore = func() error {
		if err := was.WriteTo(s.file); err != nil {
			return failed("give the stage its journal mode back", err)
		}
		return nil
	}
	if head, err = s.head(); err != nil {
		return nil, nil, errors.Join(err, restore())
	}
	return head, restore, nil
}

// head reads the stage's header.
func (s *stage) head() ([]byte, error) {
	head := make([]byte, sqlitefile.HeaderSize)
	if _, err := s.file.ReadAt(head, 0); err != nil {
		return nil, failed("read the stage's header", err)
	}
	return head, nil
}

// openToCheck opens the stage with the program's own functions and collations,
// which its schema may need; if the connect hook fails on it, without, and then
// the verdict knows why.
func (s *stage) openToCheck(ctx context.Context, db *driver.Database, hook hookTrial, v *verdict) (*sql.DB, error) {
	params := []string{"mode=rw", "nolock=1", "_query_only=1"}
	pool := inside.Of(db).OpenFile(s.path, true, params...)
	if v.hook = hook.on(ctx, pool); v.hook == nil {
		return pool, nil
	}
	pool.Close()
	if errors.Is(v.hook, errHookHangs) {
		return nil, v.hook
	}
	pool = inside.Of(db).OpenFile(s.path, false, params...)
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, v.sort(ctx, err)
	}
	return pool, nil
}

// checkup is one check on its one connection.
type checkup struct {
	pool    *sql.DB
	file    io.ReaderAt // what the pool has open
	verdict *verdict
	pragma  string
	// sideBySide lets the two parts of a scan run at the same time.
	sideBySide bool
}

func (c *checkup) run(ctx context.Context, readQuickly string) error {
	if err := c.exec(ctx, readQuickly); err != nil {
		return err
	}
	virtual, found, err := c.viewsAndVirtualTables(ctx)
	if err != nil {
		return err
	}
	// A virtual table that its module can check is checked by name, which says nothing if
	// there is no such module.
	for _, name := range virtual {
		_, err := c.pool.ExecContext(ctx, "SELECT 1 FROM main."+session.Quote(name)+" LIMIT 0")
		if missing := c.verdict.missing(ctx, err); missing != nil {
			return missing
		}
		if err := c.look(ctx, c.pragma+`("`+strings.ReplaceAll(name, `"`, `""`)+`")`); err != nil {
			return err
		}
	}
	if found {
		if err := c.hideViewsAndVirtualTables(ctx); err != nil {
			return err
		}
	}
	sound, err := c.scan(ctx)
	if err == nil && !sound {
		err = c.inItsOwnWords(ctx)
	}
	if err != nil || c.pragma == "quick_check" {
		return err
	}
	return c.partialIndexes(ctx)
}

// inItsOwnWords is SQLite's check of the whole.
func (c *checkup) inItsOwnWords(ctx context.Context) error {
	if err := c.look(ctx, c.pragma); err != nil {
		return err
	}
	// It stops at a hundred lines, behind which may be others of more weight.
	if c.verdict.full() {
		c.verdict.forget()
		if err := c.look(ctx, fmt.Sprintf("%s(%d)", c.pragma, math.MaxInt32)); err != nil {
			return err
		}
	}
	return c.verdict.err()
}

// viewsAndVirtualTables returns the virtual tables, and whether there are entries of the
// schema without a root page that count among the tables.
func (c *checkup) viewsAndVirtualTables(ctx context.Context) (virtual []string, found bool, err error) {
	rows, err := c.pool.QueryContext(ctx, "SELECT name, type = 'virtual' FROM pragma_table_list WHERE schema = 'main' AND type IN ('view', 'virtual')")
	if err != nil {
		return nil, false, c.verdict.sort(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var isVirtual bool
		if err := rows.Scan(&name, &isVirtual); err != nil {
			return nil, false, failed("read the list of tables", err)
		}
		if found = true; isVirtual {
			virtual = append(virtual, name)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, false, c.verdict.sort(ctx, err)
	}
	return virtual, found, nil
}

// hideViewsAndVirtualTables makes the connection believe that the schema has no views and
// virtual tables. It deletes them, loads the schema, and rolls the deletion back:
// as the schema's cookie has not moved, what was loaded stays. Nothing of it
// reaches the file.
func (c *checkup) hideViewsAndVirtualTables(ctx context.Context) error {
	for _, text := range []string{
		"PRAGMA journal_mode=MEMORY", // nothing beside the stage
		"PRAGMA cache_spill=OFF",     // nothing in it
		"PRAGMA query_only=OFF",
		"BEGIN",
		"PRAGMA writable_schema=ON",
		`DELETE FROM main.sqlite_schema WHERE type = 'trigger' OR name IN
			(SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('view', 'virtual'))`,
		"PRAGMA writable_schema=RESET",
	} {
		if err := c.exec(ctx, text); err != nil {
			return err
		}
	}
	if _, _, err := c.viewsAndVirtualTables(ctx); err != nil { // which loads it
		return err
	}
	for _, text := range []string{"ROLLBACK", "PRAGMA query_only=ON"} {
		if err := c.exec(ctx, text); err != nil {
			return err
		}
	}
	_, still, err := c.viewsAndVirtualTables(ctx)
	if err == nil && still {
		return bad("drop its views and virtual tables and create them again; if the program's hook sets SQLite's defensive mode, push with --skip-integrity-check",
			"%s can't be checked: its schema lists views or virtual tables under names that are not theirs", c.verdict.subject)
	}
	return err
}

// exec runs a statement of the checkup's own. A schema or a freelist that it
// finds damaged is looked at once more, for SQLite's words of what is wrong.
func (c *checkup) exec(ctx context.Context, text string) error {
	_, err := c.pool.ExecContext(ctx, text)
	if err == nil {
		return nil
	}
	err = c.verdict.sort(ctx, err)
	if errors.Is(err, ErrBadDatabase) && c.look(ctx, "quick_check(sqlite_schema)") == nil && c.verdict.err() != nil {
		return c.verdict.err()
	}
	return err
}

// look runs a check and takes down what it says.
func (c *checkup) look(ctx context.Context, pragma string) error {
	rows, err := c.pool.QueryContext(ctx, "PRAGMA main."+pragma)
	if err != nil {
		return c.verdict.sort(ctx, err)
	}
	defer rows.Close()
	for rows.Next() && !c.verdict.enough() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return failed("read the integrity check's result", err)
		}
		c.verdict.take(text)
	}
	if err := rows.Err(); err != nil {
		return c.verdict.sort(ctx, err)
	}
	return nil
}
