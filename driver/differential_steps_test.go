package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a program holds, with the place of the pinned connection that it is on, or -1:
// that one can't be closed earlier.
type (
	openTx struct {
		*sql.Tx
		conn    int
		cancel  func() // of its context
		cancels bool   // that can end
		ended   bool
	}
	openStmt struct {
		*sql.Stmt
		text   string
		on     on // what prepared it
		conn   int
		root   *sql.Stmt // what tx.Stmt made it from, or itself
		closed bool
	}
	openRows struct {
		*sql.Rows
		conn   int
		stmt   *openStmt // nil for a call without
		cancel func()
		begun  bool // it has returned a row
		closed bool // before its end
	}
)

// target is what has Exec, Query and Prepare.
type target interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
	PrepareContext(context.Context, string) (*sql.Stmt, error)
}

// on names a target: a pool, or the place of a connection or a transaction.
type on struct {
	kind string
	k    int
}

func (o on) String() string {
	if o.kind == "db" {
		return "db"
	}
	return fmt.Sprint(o.kind, o.k)
}

// full reports whether a call on the pool would wait for ever.
func (s *side) full() bool { return s.db.Stats().InUse >= s.db.Stats().MaxOpenConnections }

// target returns nil if there is none, or if it would wait.
func (s *side) target(o on) (q target, conn int) {
	switch {
	case o.kind == "conn" && s.conns[o.k] != nil:
		return s.conns[o.k], o.k
	case o.kind == "tx" && s.txs[o.k] != nil:
		return s.txs[o.k], s.txs[o.k].conn
	case o.kind == "db" && !s.full():
		return s.db, -1
	}
	return nil, -1
}

const noTarget = "nothing there"

// ctx makes a context of a kind. The result of an Exec or a Begin whose context has
// ended is left to chance in go-sqlite3, where database/sql does not check it first.
func (s *side) ctx(kind string, o on, begins bool) (context.Context, func()) {
	if kind == "ended" || kind == "expired" {
		if o.kind == "conn" && begins {
			kind = "live"
		}
	}
	switch kind {
	case "ended":
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx, cancel
	case "expired":
		return context.WithDeadline(context.Background(), time.Unix(1, 0))
	case "live":
		return context.WithCancel(s.live)
	}
	return context.Background(), func() {}
}

func (s *side) result(res sql.Result, err error) string {
	if err != nil {
		return s.describe(err)
	}
	id, err1 := res.LastInsertId()
	n, err2 := res.RowsAffected()
	return fmt.Sprint("id ", id, ", ", n, " rows ", s.describe(err1), s.describe(err2))
}

// inDir puts the side's directory into a text or an argument.
func (s *side) inDir(text string) string { return strings.ReplaceAll(text, "DIR", s.dir) }

func (s *side) args(args []any) []any {
	out := slices.Clone(args)
	for i, a := range out {
		if text, ok := a.(string); ok {
			out[i] = s.inDir(text)
		}
	}
	return out
}

func (s *side) exec(o on, kind, query string, args []any) string {
	q, _ := s.target(o)
	if q == nil {
		return noTarget
	}
	ctx, cancel := s.ctx(kind, o, true)
	defer cancel()
	return s.result(q.ExecContext(ctx, s.inDir(query), s.args(args)...))
}

// query reads n rows, or -1 for all, and closes them unless they go to a place.
func (s *side) query(o on, kind, query string, args []any, n, place int) string {
	q, conn := s.target(o)
	if q == nil {
		return noTarget
	}
	ctx, cancel := s.ctx(kind, o, false)
	rows, err := q.QueryContext(ctx, s.inDir(query), s.args(args)...)
	return s.take(rows, err, conn, nil, cancel, n, place)
}

func (s *side) take(rows *sql.Rows, err error, conn int, stmt *openStmt, cancel func(), n, place int) string {
	if err != nil {
		cancel()
		return s.describe(err)
	}
	if place < 0 {
		defer cancel()
		seen := s.read(rows, n, stmt == nil)
		return seen + s.describe(rows.Close())
	}
	closed := s.closeRows(place)
	s.rows[place] = &openRows{Rows: rows, conn: conn, stmt: stmt, cancel: cancel}
	return closed + s.readOn(place, n)
}

func (s *side) queryRow(o on, kind, query string, args []any, dest string) string {
	q, _ := s.target(o)
	if q == nil {
		return noTarget
	}
	ctx, cancel := s.ctx(kind, o, false)
	defer cancel()
	return s.scan(q.QueryRowContext(ctx, s.inDir(query), s.args(args)...), dest)
}

func (s *side) scan(row *sql.Row, dest string) string {
	into := map[string]any{
		"any": new(any), "int": new(int), "string": new(string), "bytes": new([]byte), "time": new(time.Time), "bool": new(bool),
		"float": new(float64), "raw": new(sql.NullInt32), "null": new(sql.NullString),
	}[dest]
	err := row.Scan(into)
	return show(reflect.ValueOf(into).Elem().Interface()) + s.describe(err)
}

// read returns what can be seen of rows up to the n-th. It then writes to the slice of
// their columns, unless the calls of a statement share it.
func (s *side) read(rows *sql.Rows, n int, own bool) (seen string) {
	cols, err := rows.Columns()
	seen = fmt.Sprintf("%q %s", cols, s.describe(err))
	seen += s.types(rows)
	for n != 0 && rows.Next() {
		n--
		seen += "\n" + s.row(rows, len(cols))
	}
	if n != 0 {
		seen += s.describe(rows.Err())
	} else {
		seen += s.types(rows)
	}
	for i := range cols {
		if own {
			cols[i] += " of mine"
		}
	}
	return seen
}

func (s *side) row(rows *sql.Rows, cols int) (seen string) {
	vals := make([]any, cols)
	for i := range vals {
		vals[i] = &vals[i]
	}
	if err := rows.Scan(vals...); err != nil {
		return s.describe(err)
	}
	for _, v := range vals {
		seen += show(v) + " "
	}
	return seen
}

func (s *side) types(rows *sql.Rows) (seen string) {
	types, err := rows.ColumnTypes()
	for _, ty := range types {
		null, ok := ty.Nullable()
		length, lengthOK := ty.Length()
		precision, scale, decimalOK := ty.DecimalSize()
		seen += fmt.Sprint(" ", ty.Name(), ":", ty.DatabaseTypeName(), ":", ty.ScanType(), null, ok, length, lengthOK, precision, scale, decimalOK)
	}
	return seen + s.describe(err)
}

func show(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.Format(time.RFC3339Nano) + v.Location().String()
	case float64:
		return "float64 " + strconv.FormatUint(math.Float64bits(v), 16)
	}
	return fmt.Sprintf("%T %#v", v, v)
}

func (s *side) readOn(place, n int) (seen string) {
	r := s.rows[place]
	if r == nil {
		return noTarget
	}
	cols, err := r.Columns()
	seen = fmt.Sprintf("%q %s", cols, s.describe(err))
	if r.stmt == nil || !r.stmt.closed || r.stmt.on.kind == "db" {
		seen += s.types(r.Rows) // go-sqlite3 crashes on it if the statement is finalized
	}
	for ; n > 0; n-- {
		if !r.Next() {
			if !r.closed { // then an Err may come late, from the end of the transaction
				seen += s.describe(r.Err())
			}
			break
		}
		r.begun = true
		seen += "\n" + s.row(r.Rows, len(cols))
	}
	return seen
}

func (s *side) closeRows(place int) string {
	r := s.rows[place]
	if r == nil {
		return ""
	}
	r.closed = true
	defer r.cancel()
	return s.describe(r.Close())
}

// cancelRows ends their context. The first row was read with the query, and
// might still be seen or not.
func (s *side) cancelRows(place int) string {
	r := s.rows[place]
	if r == nil || !r.begun || r.closed {
		return noTarget
	}
	r.cancel()
	defer func() { s.rows[place] = nil }() // whose error it keeps is chance
	return fmt.Sprint(r.Next(), s.describe(r.Err())) + s.closeRows(place)
}
