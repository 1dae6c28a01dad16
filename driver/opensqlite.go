package driver

import (
	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
)

// openSQLite opens an SQLite connection in the hands of opener, and runs its connect
// hook. go-sqlite3 would do that, too, and close the connection if the hook fails; but
// as its own close leaves a WAL behind (see closeSQLite), in which is what the hook
// had written, it is not asked to. The caller is in door.As.
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
