package ecosystem

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"contrib.go.opencensus.io/integrations/ocsql"
	"github.com/XSAM/otelsql"
	"github.com/luna-duclos/instrumentedsql"
	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/ngrok/sqlmw"
	sqldblogger "github.com/simukti/sqldb-logger"
	uptrace "github.com/uptrace/opentelemetry-go-extra/otelsql"
	nhat "go.nhat.io/otelsql"

	"hotswap/driver"
)

type silent struct{}

func (silent) Log(context.Context, sqldblogger.Level, string, map[string]any) {}

// wrappers are drivers around another one, by how they open a database.
var wrappers = map[string]func(path string) (*sql.DB, error){
	"XSAM/otelsql, Open": func(path string) (*sql.DB, error) { return otelsql.Open(driver.Name, path) },
	"XSAM/otelsql, Register": func(path string) (*sql.DB, error) {
		name, err := otelsql.Register(driver.Name)
		if err != nil {
			return nil, err
		}
		return sql.Open(name, path)
	},
	"nhat/otelsql": func(path string) (*sql.DB, error) {
		name, err := nhat.Register(driver.Name)
		if err != nil {
			return nil, err
		}
		return sql.Open(name, path)
	},
	"uptrace/otelsql": func(path string) (*sql.DB, error) { return uptrace.Open(driver.Name, path) },
	"sqldb-logger": func(path string) (*sql.DB, error) {
		return sqldblogger.OpenDriver(path, driver.New(), silent{}), nil
	},
	"ocsql": func(path string) (*sql.DB, error) {
		name, err := ocsql.Register(driver.Name, ocsql.WithAllTraceOptions())
		if err != nil {
			return nil, err
		}
		return sql.Open(name, path)
	},
	"instrumentedsql": func(path string) (*sql.DB, error) {
		sql.Register("instrumented", instrumentedsql.WrapDriver(driver.New()))
		return sql.Open("instrumented", path)
	},
	"sqlmw, outside": func(path string) (*sql.DB, error) {
		sql.Register("sqlmw-outside", sqlmw.Driver(driver.New(), sqlmw.NullInterceptor{}))
		return sql.Open("sqlmw-outside", path)
	},
	"two of them": func(path string) (*sql.DB, error) {
		sql.Register("two", sqlmw.Driver(instrumentedsql.WrapDriver(driver.New()), sqlmw.NullInterceptor{}))
		return otelsql.Open("two", path)
	},
}

// TestDriversAroundThisOneHideNothingOfIt: the database is managed, its swaps reach the
// pool, the gate holds calls, errors are those of SQLite, and Raw finds its connection.
func TestDriversAroundThisOneHideNothingOfIt(t *testing.T) {
	for name, open := range wrappers {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "live.db")
			db, err := open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			swapsReach(t, path, db)
			_, err = db.Exec("INSERT INTO notes (body) VALUES (NULL)")
			if se := (sqlite3.Error{}); !errors.As(err, &se) || se.ExtendedCode != sqlite3.ErrConstraintNotNull {
				t.Errorf("a broken constraint: %v", err)
			}
			d, _ := driver.Lookup(path)
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ran := false
			err = driver.Raw(conn, func(c *sqlite3.SQLiteConn) error {
				ran = c.GetFilename("") == path
				if _, err := d.Freeze(t.Context(), driver.FreezeOptions{Timeout: 1}); err == nil {
					t.Error("frozen while Raw ran")
				}
				return nil
			})
			if err != nil || !ran {
				t.Errorf("Raw: ran %v, %v", ran, err)
			}
			rows, err := conn.QueryContext(t.Context(), "SELECT body FROM notes")
			if err != nil {
				t.Fatal(err)
			}
			rows.Next()
			_, err = d.Freeze(t.Context(), driver.FreezeOptions{Timeout: 1})
			if held := (*driver.HeldError)(nil); !errors.As(err, &held) || !strings.Contains(err.Error(), "SELECT body FROM notes") {
				t.Errorf("with Rows open: %v", err)
			}
			rows.Close()
		})
	}
}
