package driver

import (
	"context"
	"database/sql/driver"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/ngrok/sqlmw"

	"hotswap/internal/testenv"
)

// TestOurOptionalInterfacesAreThoseOfRaw compares what database/sql may find on each
// value, and names what we add on purpose. The interfaces are those of the standard
// library that is being used, read from its source: a new one is compared as soon as
// there is one. An interceptor hides none of ours.
func TestOurOptionalInterfacesAreThoseOfRaw(t *testing.T) {
	all := interfacesOfDatabaseSQL(t)
	added := map[string]string{
		"conn SessionResetter":   "tells the next user of a connection apart from the one whose transaction a forced swap took",
		"conn NamedValueChecker": "passes plain values without reflection, and answers Raw",
		"driver DriverContext":   "a pool has its database managed from sql.Open on",
	}
	ours, intercepted := valuesOf(t, New()), valuesOf(t, New(WithInterceptor(sqlmw.NullInterceptor{})))
	for kind, raw := range valuesOf(t, &sqlite3.SQLiteDriver{}) {
		for name, methods := range all {
			raw, ours := has(raw, methods), has(ours[kind], methods)
			if raw != ours && (!ours || added[kind+" "+name] == "") {
				t.Errorf("%s %s: raw %v, ours %v", kind, name, raw, ours)
			}
			if ours && !has(intercepted[kind], methods) {
				t.Errorf("%s %s: hidden by an interceptor", kind, name)
			}
		}
	}
	for _, name := range []string{"Driver", "ExecerContext", "RowsColumnTypeScanType", "NamedValueChecker", "Validator"} {
		if len(all[name]) == 0 {
			t.Errorf("%s was not found in the source", name)
		}
	}
	if got := all["RowsNextResultSet"]; !slices.Contains(got, "NextResultSet") || !slices.Contains(got, "Columns") {
		t.Errorf("RowsNextResultSet has %q", got)
	}
}

// interfacesOfDatabaseSQL returns the names of the methods of each interface of package
// database/sql/driver.
func interfacesOfDatabaseSQL(t *testing.T) map[string][]string {
	t.Helper()
	pkg, err := build.Import("database/sql/driver", "", 0)
	if err != nil {
		testenv.Skip(t, "without the standard library's source: %v", err)
	}
	own, embedded := map[string][]string{}, map[string][]string{}
	for _, name := range pkg.GoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(pkg.Dir, name), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !spec.Name.IsExported() {
				return true
			}
			if iface, ok := spec.Type.(*ast.InterfaceType); ok {
				for _, m := range iface.Methods.List {
					if len(m.Names) > 0 {
						own[spec.Name.Name] = append(own[spec.Name.Name], m.Names[0].Name)
					} else if of, ok := m.Type.(*ast.Ident); ok {
						embedded[spec.Name.Name] = append(embedded[spec.Name.Name], of.Name)
					}
				}
			}
			return true
		})
	}
	all := map[string][]string{}
	for name, methods := range own {
		for _, of := range embedded[name] {
			methods = append(methods, own[of]...)
		}
		all[name] = methods
	}
	return all
}

// has reports whether the value has methods of these names.
func has(value any, methods []string) bool {
	for _, m := range methods {
		if _, ok := reflect.TypeOf(value).MethodByName(m); !ok {
			return false
		}
	}
	return true
}

// valuesOf returns one of each that database/sql gets from a driver.
func valuesOf(t *testing.T, drv driver.Driver) map[string]any {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	var connector driver.Connector
	if with, ok := drv.(driver.DriverContext); ok {
		var err error
		if connector, err = with.OpenConnector(path); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connector.(io.Closer).Close() })
	}
	open := drv.Open
	if connector != nil {
		open = func(string) (driver.Conn, error) { return connector.Connect(t.Context()) }
	}
	conn, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	result, err := conn.(driver.ExecerContext).ExecContext(t.Context(), "CREATE TABLE t (v)", nil)
	if err != nil {
		t.Fatal(err)
	}
	stmt, err := conn.(driver.ConnPrepareContext).PrepareContext(t.Context(), "SELECT * FROM t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stmt.Close() })
	rows, err := stmt.(driver.StmtQueryContext).QueryContext(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rows.Close() })
	tx, err := conn.(driver.ConnBeginTx).BeginTx(t.Context(), driver.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Rollback() })
	return map[string]any{"driver": drv, "conn": conn, "stmt": stmt, "rows": rows, "tx": tx, "result": result}
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
