//go:build sqlite_fts5

package driver_test

import "testing"

// TestTheBuildTagReachesSQLite is run by CI with the tag.
func TestTheBuildTagReachesSQLite(t *testing.T) {
	db, d := open(t, "", 0)
	mustExec(t, db, "CREATE VIRTUAL TABLE f USING fts5 (body); INSERT INTO f VALUES ('a swap under load')")
	swap(t, d)
	var body string
	if err := db.QueryRow("SELECT body FROM f WHERE f MATCH 'load'").Scan(&body); err != nil || body != "a swap under load" {
		t.Errorf("%q, %v", body, err)
	}
}
