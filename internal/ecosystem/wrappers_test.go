package ecosystem

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
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

// wrappers are drivers around another one, which is given by its name and as itself, by
// how they open a database.
var wrappers = map[string]func(name string, d sqldriver.Driver, path string) (*sql.DB, error){
	"XSAM/otelsql, Open": func(name string, _ sqldriver.Driver, path string) (*sql.DB, error) {
		return otelsql.Open(name, path)
	},
	"XSAM/otelsql, Register": func(name string, _ sqldriver.Driver, path string) (*sql.DB, error) {
		return registered(path)(otelsql.Register(name))
	},
	"nhat/otelsql": func(name string, _ sqldriver.Driver, path string) (*sql.DB, error) {
		return registered(path)(nhat.Register(name))
	},
	"uptrace/otelsql": func(name string, _ sqldriver.Driver, path string) (*sql.DB, error) {
		return uptrace.Open(name, path)
	},
	"sqldb-logger": func(_ string, d sqldriver.Driver, path string) (*sql.DB, error) {
		return sqldblogger.OpenDriver(path, d, silent{}), nil
	},
	"ocsql": func(name string, _ sqldriver.Driver, path string) (*sql.DB, error) {
		return registered(path)(ocsql.Register(name, ocsql.WithAllTraceOptions()))
	},
	"instrumentedsql": func(_ string, d sqldriver.Driver, path string) (*sql.DB, error) {
		return register(path, instrumentedsql.WrapDriver(d))
	},
	"sqlmw, outside": func(_ string, d sqldriver.Driver, path string) (*sql.DB, error) {
		return register(path, sqlmw.Driver(d, sqlmw.NullInterceptor{}))
	},
	"two of them": func(_ string, d sqldriver.Driver, path string) (*sql.DB, error) {
		name := fmt.Sprint("two", names.Add(1))
		sql.Register(name, sqlmw.Driver(instrumentedsql.WrapDriver(d), sqlmw.NullInterceptor{}))
		return otelsql.Open(name, path)
	},
}

// names numbers the drivers that are registered.
var names atomic.Int64

func register(path string, d sqldriver.Driver) (*sql.DB, error) {
	name := fmt.Sprint("wrapped", names.Add(1))
	sql.Register(name, d)
	return sql.Open(name, path)
}

func registered(path string) func(name string, err error) (*sql.DB, error) {
	return func(name string, err error) (*sql.DB, error) {
		if err != nil {
			return nil, err
		}
		return sql.Open(name, path)
	}
}

// TestDriversAroundThisOneHideNothingOfIt: the database is managed, its swaps reach the
// pool, the gate holds calls, errors are those of SQLite, and Raw finds its connection.
func TestDriversAroundThisOneHideNothingOfIt(t *testing.T) {
	for name, open := range wrappers {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "live.db")
			db, err := open(driver.Name, driver.New(), path)
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
