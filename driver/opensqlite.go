package driver

import (
	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
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
