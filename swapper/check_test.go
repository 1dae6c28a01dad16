package swapper

import "testing"

func TestPageThatCouldNotBeReadIsNotCorruption(t *testing.T) {
	for line, want := range map[string]bool{
		"Tree 2 page 2 cell 0: unable to get the page. error code=266": true, // SQLITE_IOERR_READ
		"Tree 2 page 2: unable to get the page. error code=10":         true,
		"Tree 2 page 2: unable to get the page. error code=11":         false, // SQLITE_CORRUPT
		"Tree 2 page 2: btreeInitPage() returns error code 11":         false,
		"wrong # of entries in index error code=":                      false,
		"ok": false,
	} {
		if got := tellsOfIO(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}
