package driver_test

import (
	"strings"
	"testing"

	"hotswap/driver"
)

// TestAnIdleConnectionDoesNotKeepLongTexts, which it notes for whoever asks what it does.
func TestAnIdleConnectionDoesNotKeepLongTexts(t *testing.T) {
	db, d := open(t, "", 1)
	db.SetMaxOpenConns(1)
	for range 2 {
		mustExec(t, db, "INSERT INTO t (v) VALUES ('"+strings.Repeat("long ", 1<<20)+"')")
	}
	if n := driver.NotedBytes(d); n > 128<<10 {
		t.Errorf("%d bytes are noted", n)
	}
}
