package driver

import "runtime"

// calledOnPool reports whether the query that runs was made on a pool (sql.DB, or a
// sql.Stmt of one), so that nobody can use the connection while its Rows are open. If it
// was made on a sql.Conn, its user can: between rows, and in a sql.Scanner. database/sql
// makes the same calls of a driver for both; only its own functions on the stack tell.
func calledOnPool() bool {
	var pcs [24]uintptr // there may be other drivers around this one
	for _, pc := range pcs[:runtime.Callers(3, pcs[:])] {
		switch runtime.FuncForPC(pc - 1).Name() {
		case "database/sql.(*DB).query", "database/sql.(*Stmt).QueryContext":
			return true
		case "database/sql.(*Conn).QueryContext":
			return false
		}
	}
	return false
}
