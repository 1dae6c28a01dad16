package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hotswap/internal/testenv"
)

func (s *side) pin(k int, kind string) string {
	closed := s.closeConn(k)
	if s.full() {
		return closed + noTarget
	}
	ctx, cancel := s.ctx(kind, on{kind: "db"}, false)
	defer cancel()
	c, err := s.db.Conn(ctx)
	s.conns[k] = nil
	if err == nil {
		s.conns[k] = c
	}
	return closed + s.describe(err)
}

// closeConn also closes what would keep it from being closed.
func (s *side) closeConn(k int) (seen string) {
	if s.conns[k] == nil {
		return ""
	}
	for i, r := range s.rows {
		if r != nil && r.conn == k {
			seen += s.closeRows(i)
		}
	}
	for i, tx := range s.txs {
		if tx != nil && tx.conn == k {
			seen += s.endTx(i, (*sql.Tx).Rollback)
		}
	}
	// go-sqlite3 keeps a connection open, with its locks, that has statements
	// left when the pool closes it. Ours does not.
	for i, stmt := range s.stmts {
		if stmt != nil && stmt.conn == k {
			seen += s.closeStmt(i)
		}
	}
	return seen + s.describe(s.conns[k].Close())
}

func (s *side) ping(o on, kind string) string {
	ctx, cancel := s.ctx(kind, o, false)
	defer cancel()
	switch q, _ := s.target(o); q := q.(type) {
	case *sql.DB:
		return s.describe(q.PingContext(ctx))
	case *sql.Conn:
		return s.describe(q.PingContext(ctx))
	}
	return noTarget
}

func (s *side) begin(o on, k int, kind string, opts *sql.TxOptions) string {
	ended := s.endTx(k, (*sql.Tx).Rollback)
	s.txs[k] = nil
	q, conn := s.target(o)
	beginner, ok := q.(interface {
		BeginTx(context.Context, *sql.TxOptions) (*sql.Tx, error)
	})
	if !ok {
		return ended + noTarget
	}
	ctx, cancel := s.ctx(kind, o, true)
	tx, err := beginner.BeginTx(ctx, opts)
	if err != nil {
		cancel()
		return ended + s.describe(err)
	}
	s.txs[k] = &openTx{Tx: tx, conn: conn, cancel: cancel, cancels: ctx.Done() != nil}
	return ended + "begun"
}

func (s *side) endTx(k int, end func(*sql.Tx) error) string {
	tx := s.txs[k]
	if tx == nil {
		return ""
	}
	tx.ended = true
	defer tx.cancel()
	return s.describe(end(tx.Tx))
}

// cancelTx ends its context. database/sql then closes its connection, on a
// goroutine of its own.
func (s *side) cancelTx(k int) string {
	tx := s.txs[k]
	if tx == nil || tx.ended || !tx.cancels || tx.conn >= 0 {
		return noTarget
	}
	tx.ended = true
	open := s.db.Stats().OpenConnections
	tx.cancel()
	testenv.Until(s.t, "the transaction's connection is closed", func() bool { return s.db.Stats().OpenConnections < open })
	return s.describe(tx.Commit()) + s.describe(tx.Rollback())
}

func (s *side) prepare(o on, k int, kind, query string) string {
	closed := s.closeStmt(k)
	s.stmts[k] = nil
	q, conn := s.target(o)
	if q == nil {
		return closed + noTarget
	}
	ctx, cancel := s.ctx(kind, o, false)
	defer cancel()
	stmt, err := q.PrepareContext(ctx, s.inDir(query))
	if err == nil {
		s.stmts[k] = &openStmt{Stmt: stmt, text: query, on: o, conn: conn, root: stmt}
	}
	return closed + s.describe(err)
}

// txStmt turns the statement in the place from into one of a transaction.
func (s *side) txStmt(tx, from, to int) string {
	if s.txs[tx] == nil || s.stmts[from] == nil {
		return noTarget
	}
	stmt := s.txs[tx].Stmt(s.stmts[from].Stmt)
	root, text := s.stmts[from].root, s.stmts[from].text
	closed := s.closeStmt(to)
	s.stmts[to] = &openStmt{Stmt: stmt, text: text, on: on{"tx", tx}, conn: s.txs[tx].conn, root: root}
	return closed
}

func (s *side) closeStmt(k int) string {
	if s.stmts[k] == nil {
		return ""
	}
	s.stmts[k].closed = true
	return s.describe(s.stmts[k].Close())
}

// stmt returns the one in a place, if it would not wait. If open rows use the same
// SQLite statement, those are closed: they would read what the call has left.
func (s *side) stmt(k int) *openStmt {
	st := s.stmts[k]
	if st == nil || st.on.kind == "db" && s.full() {
		return nil
	}
	for i, r := range s.rows {
		if r != nil && r.stmt != nil && r.stmt.root == st.root && st.on.kind != "db" && r.stmt.on.kind != "db" {
			s.closeRows(i)
		}
	}
	return st
}

// leavesOpen reports whether an Exec of a prepared text leaves a statement open.
// go-sqlite3 leaves one that returned a row, until its next use: a read that goes on,
// or a write that is not committed. A freeze ends that.
func leavesOpen(text string) bool {
	first, _, _ := strings.Cut(text, " ")
	return !slices.Contains([]string{"INSERT", "UPDATE", "DELETE", "REPLACE"}, first) || strings.Contains(text, "RETURNING")
}

func (s *side) execStmt(k int, kind string, args []any) string {
	st := s.stmt(k)
	if st == nil || s.freezes && leavesOpen(st.text) {
		return noTarget
	}
	ctx, cancel := s.ctx(kind, st.on, true)
	defer cancel()
	return s.result(st.ExecContext(ctx, s.args(args)...))
}

func (s *side) queryStmt(k int, kind string, args []any, n, place int) string {
	st := s.stmt(k)
	if st == nil {
		return noTarget
	}
	ctx, cancel := s.ctx(kind, st.on, false)
	rows, err := st.QueryContext(ctx, s.args(args)...)
	return s.take(rows, err, st.conn, st, cancel, n, place)
}

func (s *side) queryRowStmt(k int, kind string, args []any, dest string) string {
	st := s.stmt(k)
	if st == nil {
		return noTarget
	}
	ctx, cancel := s.ctx(kind, st.on, false)
	defer cancel()
	return s.scan(st.QueryRowContext(ctx, s.args(args)...), dest)
}

func (s *side) idle(n int) string {
	s.db.SetMaxIdleConns(n)
	return fmt.Sprint(n)
}

func (s *side) cleanUp() {
	for k := range s.conns {
		s.closeConn(k)
	}
	for _, r := range s.rows {
		if r != nil {
			r.Close()
		}
	}
	for _, tx := range s.txs {
		if tx != nil {
			tx.Rollback()
		}
	}
	s.cancel()
	s.db.Close()
}

// end closes everything, and returns what is then in the files.
func (s *side) end() (seen string) {
	s.cleanUp()
	_, err := s.db.Exec("DELETE FROM a")
	seen = s.describe(err)
	entries, err := os.ReadDir(s.dir)
	for _, e := range entries {
		seen += " " + e.Name()
		if strings.HasSuffix(e.Name(), ".sqlite3") {
			seen += s.content(filepath.Join(s.dir, e.Name()))
		}
	}
	return seen + s.describe(err)
}

func (s *side) content(path string) (all string) {
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		return err.Error()
	}
	defer db.Close()
	queries := []string{"PRAGMA integrity_check", "PRAGMA user_version", "PRAGMA journal_mode", "SELECT * FROM sqlite_master"}
	rows, err := db.Query("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
	if err != nil {
		return err.Error()
	}
	for rows.Next() {
		var name string
		rows.Scan(&name)
		queries = append(queries, "SELECT * FROM "+name)
	}
	for _, q := range queries {
		rows, err := db.Query(q)
		all += "\n" + q + ": " + s.describe(err)
		if err == nil {
			all += s.read(rows, -1, true)
			rows.Close()
		}
	}
	return all
}
