package driver

import (
	"context"
	"database/sql/driver"
	"io"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/cursor"
)

// ahead lets one Rows of a connection at a time be stepped ahead of their reader: several
// rows in one call of C. That must not show. Which statements qualify is decided by what
// SQLite compiled (cursor.Program.MayRunAhead). Besides:
//
//   - Nobody writes through the connection while they are read. SQLite leaves it undefined
//     whether a reader sees that (https://www.sqlite.org/isolation.html), but programs go
//     by what they see. Rows within a transaction, or of a connection that its user keeps
//     (sql.Conn), are not stepped ahead.
//   - The read transaction lasts as long as it would: the keeper, another statement that
//     reads, is active until the reader is at the end, too.
//   - Nothing of the program is called for a row: connections with a connect hook, with
//     extensions, or that Raw has handed out are left alone.
type ahead struct {
	taken      bool             // by Rows that are still open
	keeper     controlStmt      // prepared when it is first needed
	handle     cursor.Statement // of the keeper
	registered bool             // by a function in Raw, for all we know
	handedOut  word             // of the first call since the pool handed the connection out
}

// keeperQuery finds a row if there is a table.
const keeperQuery = "SELECT 1 FROM main.sqlite_schema"

// manyRows is how many rows a statement has had before it is studied.
const manyRows = 16

// largeValue is how many bytes a value has of which no copy more should be made than is
// needed.
const largeValue = 4 << 10

// study is what is known of a statement.
type study struct {
	sought   bool // its handle
	many     bool // it has had many rows
	large    bool // it has had a large value in its first row
	done     bool
	mayRun   bool // ahead
	compiled int  // how often SQLite had compiled it anew
}

// study looks for s among SQLite's statements, and finds out whether its Rows may be
// stepped ahead. It comes before a call that is about to run s; the caller owns c.
func (c *conn) study(s *stmt) {
	if !s.study.sought {
		s.study.sought, s.handle = true, c.handleOf(s.query)
	}
	if !s.study.many || s.study.done || s.handle == 0 {
		return
	}
	s.study.done, s.study.compiled = true, s.handle.Compiled()
	if c.extended() || c.dsn.Shared || sharesCache(c.dsn.Raw) {
		return
	}
	program, err := explain(c.inner, s.query)
	s.study.mayRun = err == nil && program.MayRunAhead() && c.prepareKeeper()
}

// sharesCache is true of all names with a shared cache, whose locks are those of tables: a
// keeper would lock one more.
func sharesCache(dsn string) bool { return strings.Contains(strings.ToLower(dsn), "cache=shared") }

func explain(c *sqlite3.SQLiteConn, query string) (program cursor.Program, err error) {
	s, err := c.Prepare("EXPLAIN " + query)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	args := make([]driver.NamedValue, s.NumInput())
	for i := range args {
		args[i].Ordinal = i + 1
	}
	listed, err := s.(*sqlite3.SQLiteStmt).QueryContext(context.Background(), args)
	if err != nil {
		return nil, err
	}
	defer listed.Close()
	at := make([]driver.Value, len(listed.Columns())) // addr, opcode, p1, p2, p3, p4, ...
	for {
		if err := listed.Next(at); err == io.EOF {
			return program, nil
		} else if err != nil {
			return nil, err
		}
		name, _ := at[1].(string)
		p1, _ := at[2].(int64)
		p2, _ := at[3].(int64)
		p4, _ := at[5].(string)
		program = append(program, cursor.Op{Name: name, P1: int(p1), P2: int(p2), P4: p4})
	}
}

func (c *conn) prepareKeeper() bool {
	a := &c.ahead
	if a.keeper.inner == nil {
		a.keeper.query = keeperQuery
		if a.keeper.prepare(c.inner) != nil {
			return false
		}
		a.handle = c.handleOf(keeperQuery)
	}
	return a.handle != 0
}

// handleOf returns the handle of the statement that c has of a text; 0 if it can't be had.
func (c *conn) handleOf(query string) cursor.Statement {
	i := &c.cancel.interrupter
	if !i.known || !cursor.Supported() {
		return 0
	}
	return cursor.Of(i.handle, query)
}

// runAhead lets r be stepped ahead, if nobody can tell. The caller owns c, in the call
// that opened r.
func (c *conn) runAhead(r *rows) {
	s := r.stmt
	r.ahead = s.study.mayRun && !c.ahead.taken && !c.ahead.registered && c.onlyQuery()
	c.ahead.taken = c.ahead.taken || r.ahead
}

// onlyQuery reports whether the query that runs is the only call for which its user has the
// connection: nobody uses it while the query's Rows are open. The caller owns c, in that
// call.
func (c *conn) onlyQuery() bool {
	return c.holds == 1 && c.state.load().sameCall(c.ahead.handedOut) && calledOnPool()
}

// endAhead lets the read transaction end that r has kept. The caller owns c.
func (c *conn) endAhead(r *rows) {
	if r.ahead {
		r.ahead, c.ahead.taken = false, false
		c.ahead.handle.Reset()
	}
}

func (a *ahead) close() {
	a.keeper.close()
	a.taken, a.handle, a.registered = false, 0, false
}
