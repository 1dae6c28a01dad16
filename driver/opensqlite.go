package driver

import (
	"database/sql/driver"
	"errors"
	"io/fs"
	"os"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
	"hotswap/internal/sqlitefile"
)

// openSQLite opens an SQLite connection as opener, and runs its connect hook.
// go-sqlite3 would run the hook, too, and close the connection if that fails; but its
// own close leaves behind a WAL with what the hook had written (see closeSQLite). The
// caller is in door.As.
func openSQLite(opener door.Opener, drv sqlite3.SQLiteDriver, name string) (*sqlite3.SQLiteConn, error) {
	hook := drv.ConnectHook
	drv.ConnectHook = nil
	opened, err := drv.Open(name)
	if err != nil {
		return nil, err
	}
	inner := opened.(*sqlite3.SQLiteConn)
	if hook == nil {
		return inner, nil
	}
	returned := false
	defer func() {
		switch {
		case !returned && throughSQLite():
			giveUp(opener, inner)
		case !returned || err != nil:
			closeSQLite(opener, inner)
		}
	}()
	err = hook(inner)
	returned = true
	if err != nil {
		return nil, err
	}
	return inner, nil
}

// ownConn is a connection that belongs to no call, and is its own opener at the door.
type ownConn struct{ *sqlite3.SQLiteConn }

func openOwn(drv sqlite3.SQLiteDriver, name string) (driver.Conn, error) {
	c := &ownConn{}
	var err error
	door.As(c, func() { c.SQLiteConn, err = openSQLite(c, drv, name) })
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close leaves nothing behind, like the close of a managed connection.
func (c *ownConn) Close() error { return closeSQLite(c, c.SQLiteConn) }

func (c *ownConn) SQLite() *sqlite3.SQLiteConn { return c.SQLiteConn }

// removeOrphanedSidecars removes the sidecars of a file of ours that is gone.
func removeOrphanedSidecars(path string) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, suffix := range sqlitefile.Sidecars {
		os.Remove(path + suffix)
	}
}
