package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"path/filepath"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/ngrok/sqlmw"

	"hotswap/driver"
)

// wrapping is a driver around ours, as those that trace, log or measure are. internal/ecosystem
// has the same for the known ones.
type wrapping struct {
	drv  *driver.Driver
	path string
	wrap func(sqldriver.Conn) sqldriver.Conn
}

func (w wrapping) Driver() sqldriver.Driver { return w.drv }

func (w wrapping) Connect(context.Context) (sqldriver.Conn, error) {
	c, err := w.drv.Open(w.path)
	if err != nil {
		return nil, err
	}
	return w.wrap(c), nil
}

type (
	checks   struct{ sqldriver.Conn } // passes arguments on to be checked, as most do
	executes struct{ sqldriver.Conn } // passes calls on
	hides    struct{ sqldriver.Conn }
)

func (c checks) CheckNamedValue(v *sqldriver.NamedValue) error {
	return c.Conn.(sqldriver.NamedValueChecker).CheckNamedValue(v)
}

func (c executes) ExecContext(ctx context.Context, query string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	return c.Conn.(sqldriver.ExecerContext).ExecContext(ctx, query, args)
}

// TestRawReachesTheConnectionThroughOtherDriversAroundThisOne, also through several, and
// says so where it can't.
func TestRawReachesTheConnectionThroughOtherDriversAroundThisOne(t *testing.T) {
	for name, wrap := range map[string]func(sqldriver.Conn) sqldriver.Conn{
		"checks":     func(c sqldriver.Conn) sqldriver.Conn { return checks{c} },
		"both":       func(c sqldriver.Conn) sqldriver.Conn { return checks{checks{c}} },
		"executes":   func(c sqldriver.Conn) sqldriver.Conn { return executes{c} },
		"and checks": func(c sqldriver.Conn) sqldriver.Conn { return executes{executes{c}} },
		"hides":      func(c sqldriver.Conn) sqldriver.Conn { return hides{c} },
	} {
		t.Run(name, func(t *testing.T) {
			for _, inner := range []*driver.Driver{driver.New(), driver.New(driver.WithInterceptor(sqlmw.NullInterceptor{}))} {
				path := filepath.Join(t.TempDir(), "x.sqlite3")
				db := sql.OpenDB(wrapping{inner, path, wrap})
				defer db.Close()
				ran := false
				err := driver.Raw(connect(t, db), func(c *sqlite3.SQLiteConn) error {
					ran = true
					if got := c.GetFilename(""); got != path {
						t.Errorf("file %s", got)
					}
					d, _ := driver.Lookup(path)
					if _, err := d.Freeze(context.Background(), driver.FreezeOptions{Timeout: 1}); err == nil {
						t.Error("frozen while Raw ran")
					}
					return nil
				})
				if name == "hides" {
					if err == nil || ran || !strings.Contains(err.Error(), "driver_test.hides") {
						t.Errorf("ran: %v, %v", ran, err)
					}
				} else if err != nil || !ran {
					t.Errorf("ran: %v, %v", ran, err)
				}
			}
		})
	}
}

// TestRawAsksNothingOfOtherDrivers that would run on them.
func TestRawAsksNothingOfOtherDrivers(t *testing.T) {
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn := connect(t, db)
	if err := driver.Raw(conn, func(*sqlite3.SQLiteConn) error { return nil }); err == nil {
		t.Error("Raw took another driver's connection")
	}
	var changes int
	if err := conn.QueryRowContext(t.Context(), "SELECT total_changes()").Scan(&changes); err != nil || changes != 0 {
		t.Errorf("%d changes, %v", changes, err)
	}
}
