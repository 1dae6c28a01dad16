//go:build !libsqlite3 && !sqlite_unlock_notify

package driver_test

import (
	"testing"

	"hotswap/internal/cursor"
)

// TestStatementsAreKnown: tests of what is known of SQLite's statements may be left out only
// where another SQLite, or a build tag, hides them.
func TestStatementsAreKnown(t *testing.T) {
	if !cursor.Supported() {
		t.Error("go-sqlite3's own SQLite hides them")
	}
}
