package driver

import (
	"context"
	"database/sql/driver"
	"path/filepath"
	"reflect"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// TestOurOptionalInterfacesAreThoseOfRaw compares what database/sql may find on
// each value, and names what we add on purpose.
func TestOurOptionalInterfacesAreThoseOfRaw(t *testing.T) {
	all := map[string]reflect.Type{
		"Conn":                           reflect.TypeFor[driver.Conn](),
		"ConnBeginTx":                    reflect.TypeFor[driver.ConnBeginTx](),
		"ConnPrepareContext":             reflect.TypeFor[driver.ConnPrepareContext](),
		"ExecerContext":                  reflect.TypeFor[driver.ExecerContext](),
		"QueryerContext":                 reflect.TypeFor[driver.QueryerContext](),
		"Pinger":                         reflect.TypeFor[driver.Pinger](),
		"SessionResetter":                reflect.TypeFor[driver.SessionResetter](),
		"Validator":                      reflect.TypeFor[driver.Validator](),
		"NamedValueChecker":              reflect.TypeFor[driver.NamedValueChecker](),
		"Stmt":                           reflect.TypeFor[driver.Stmt](),
		"StmtExecContext":                reflect.TypeFor[driver.StmtExecContext](),
		"StmtQueryContext":               reflect.TypeFor[driver.StmtQueryContext](),
		"Rows":                           reflect.TypeFor[driver.Rows](),
		"RowsNextResultSet":              reflect.TypeFor[driver.RowsNextResultSet](),
		"RowsColumnTypeDatabaseTypeName": reflect.TypeFor[driver.RowsColumnTypeDatabaseTypeName](),
		"RowsColumnTypeLength":           reflect.TypeFor[driver.RowsColumnTypeLength](),
		"RowsColumnTypeNullable":         reflect.TypeFor[driver.RowsColumnTypeNullable](),
		"RowsColumnTypePrecisionScale":   reflect.TypeFor[driver.RowsColumnTypePrecisionScale](),
		"RowsColumnTypeScanType":         reflect.TypeFor[driver.RowsColumnTypeScanType](),
		"Tx":                             reflect.TypeFor[driver.Tx](),
		"Driver":                         reflect.TypeFor[driver.Driver](),
		"DriverContext":                  reflect.TypeFor[driver.DriverContext](),
	}
	added := map[string]string{
		"conn SessionResetter":   "tells the next user of a connection apart from the one whose transaction a forced swap took",
		"conn NamedValueChecker": "passes plain values without reflection",
		"driver DriverContext":   "a pool has its database managed from sql.Open on",
	}
	pairs := map[string][2]any{
		"conn":   {&sqlite3.SQLiteConn{}, &conn{}},
		"stmt":   {&sqlite3.SQLiteStmt{}, &stmt{}},
		"rows":   {&sqlite3.SQLiteRows{}, &rows{}},
		"tx":     {&sqlite3.SQLiteTx{}, &tx{}},
		"driver": {&sqlite3.SQLiteDriver{}, &Driver{}},
	}
	for kind, pair := range pairs {
		for name, iface := range all {
			raw, ours := reflect.TypeOf(pair[0]).Implements(iface), reflect.TypeOf(pair[1]).Implements(iface)
			if raw != ours && (!ours || added[kind+" "+name] == "") {
				t.Errorf("%s %s: raw %v, ours %v", kind, name, raw, ours)
			}
		}
	}
}

// TestTheDriverWorksWithoutDatabaseSQL uses it the way other libraries do.
func TestTheDriverWorksWithoutDatabaseSQL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	c, err := New().Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d, ok := Lookup(path)
	if !ok || d.Stats().Connections != 1 {
		t.Errorf("not managed: %v", d)
	}
	s, err := c.Prepare("SELECT ?")
	if err != nil {
		t.Fatal(err)
	}
	f, err := d.Freeze(context.Background(), FreezeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.Thaw()
	rows, err := s.(driver.StmtQueryContext).QueryContext(context.Background(), []driver.NamedValue{{Ordinal: 1, Value: int64(7)}})
	if err != nil {
		t.Fatal(err)
	}
	v := make([]driver.Value, 1)
	if err := rows.Next(v); err != nil || v[0] != int64(7) {
		t.Errorf("%v, %v", v, err)
	}
	// Closed in the wrong order: nothing may hang or leak.
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.(driver.ExecerContext).ExecContext(context.Background(), "SELECT 1", nil); err != driver.ErrBadConn {
		t.Errorf("use after close: %v", err)
	}
	if _, ok := Lookup(path); ok {
		t.Error("still managed")
	}
}
