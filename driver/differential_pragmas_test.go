package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/driver"
)

// TestRandomPragmasCannotTellTheDrivers tells a connection of go-sqlite3 and one of ours
// the same random PRAGMA, ATTACH and DETACH statements, has ours reopened by a swap, and
// compares all that can be asked of either. It reports the seed and the statements.
func TestRandomPragmasCannotTellTheDrivers(t *testing.T) {
	t.Parallel()
	for n := range 5 * uint64(*seeds) { // each is quick
		for _, mode := range []string{"DELETE", "WAL"} {
			t.Run(fmt.Sprint("seed=", *seed+n, " ", mode), func(t *testing.T) {
				t.Parallel()
				theirs, _ := pragmaSide(t, "sqlite3", mode)
				ours, d := pragmaSide(t, driver.Name, mode)
				told := tellPragmas(rand.New(rand.NewPCG(*seed+n, 0)), theirs, ours)
				swap(t, d)
				want := theirs.answers(t)
				for asked, answer := range ours.answers(t) {
					if answer != want[asked] {
						t.Errorf("%s: %q, want %q, after\n%s", asked, answer, want[asked], strings.Join(told, "\n"))
					}
				}
			})
		}
	}
}

// sidePragmas is one of the two connections.
type sidePragmas struct {
	*sql.Conn
	dir string
}

func pragmaSide(t *testing.T, driverName, mode string) (sidePragmas, *driver.Database) {
	t.Helper()
	dir := t.TempDir()
	for name, mode := range map[string]string{"main.db": mode, "x.db": "DELETE"} {
		db, err := sql.Open("sqlite3", filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, "PRAGMA journal_mode = "+mode)
		mustExec(t, db, "CREATE TABLE t (x)")
		db.Close()
	}
	db, err := sql.Open(driverName, filepath.Join(dir, "main.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	conn := connect(t, db)
	d, _ := driver.Lookup(filepath.Join(dir, "main.db"))
	return sidePragmas{conn, dir}, d
}

// pragmaValues are without WAL, which would convert x.db for good.
var pragmaValues = []struct {
	name   string
	values []string
}{
	{"analysis_limit", []string{"100", "0"}}, {"automatic_index", []string{"0", "1"}},
	{"busy_timeout", []string{"77", "0"}}, {"cache_size", []string{"-500", "50", "0"}},
	{"cache_spill", []string{"0", "1", "100"}}, {"case_sensitive_like", []string{"0", "1"}},
	{"cell_size_check", []string{"1", "0"}}, {"checkpoint_fullfsync", []string{"1", "0"}},
	{"count_changes", []string{"1", "0"}}, {"foreign_keys", []string{"1", "0"}},
	{"fullfsync", []string{"1", "0"}}, {"ignore_check_constraints", []string{"1", "0"}},
	{"journal_mode", []string{"memory", "truncate", "persist", "off", "delete"}},
	{"journal_size_limit", []string{"1000", "-1", "0"}}, {"legacy_alter_table", []string{"1", "0"}},
	{"max_page_count", []string{"1000", "5000"}}, {"mmap_size", []string{"1000000", "0", "2000000"}},
	{"query_only", []string{"1", "0"}}, {"read_uncommitted", []string{"1", "0"}},
	{"recursive_triggers", []string{"1", "0"}}, {"reverse_unordered_selects", []string{"1", "0"}},
	{"secure_delete", []string{"1", "0", "fast"}}, {"synchronous", []string{"0", "1", "2", "3"}},
	{"temp_store", []string{"0", "1", "2"}}, {"threads", []string{"2", "0"}},
	{"trusted_schema", []string{"0", "1"}}, {"wal_autocheckpoint", []string{"10", "0", "1000"}},
	{"writable_schema", []string{"1", "0"}},
}

// tellPragmas returns what it told both.
func tellPragmas(r *rand.Rand, sides ...sidePragmas) (told []string) {
	attached := map[string]bool{}
	for range 3 + r.IntN(12) {
		text := ""
		pragma := pragmaValues[r.IntN(len(pragmaValues))]
		schema := []string{"", "main", "x", "m"}[r.IntN(4)]
		switch what := r.IntN(10); {
		case what < 2 && !attached["x"]:
			text, attached["x"] = "ATTACH 'x.db' AS x", true
		case what == 2 && !attached["m"]:
			text, attached["m"] = "ATTACH ':memory:' AS m", true
		case what == 3 && attached["x"]:
			text, attached["x"] = "DETACH x", false
		case attached[schema] || schema == "main":
			text = fmt.Sprintf("PRAGMA %s.%s = %s", schema, pragma.name, pragma.values[r.IntN(len(pragma.values))])
		default:
			text = fmt.Sprintf("PRAGMA %s = %s", pragma.name, pragma.values[r.IntN(len(pragma.values))])
		}
		told = append(told, text)
		for _, s := range sides {
			s.ExecContext(context.Background(), strings.Replace(text, "'x.db'", "'"+filepath.Join(s.dir, "x.db")+"'", 1))
		}
	}
	return told
}

// answers asks for everything that pragmaValues sets.
func (s sidePragmas) answers(t *testing.T) map[string]string {
	all := map[string]string{}
	ask := func(name, query string) {
		var v sql.NullString
		if err := s.QueryRowContext(context.Background(), query).Scan(&v); err != nil {
			v.String = err.Error()
		}
		all[name] = v.String
	}
	for _, schema := range []string{"main", "x", "m"} {
		for _, p := range pragmaValues {
			ask(schema+"."+p.name, "PRAGMA "+schema+"."+p.name)
		}
	}
	ask("LIKE", "SELECT 'a' LIKE 'A'")
	all["attached"] = strings.ReplaceAll(attached(t, s.Conn), s.dir, "")
	return all
}
