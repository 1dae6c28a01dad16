package swapper_test

import (
	"errors"
	"strings"
	"testing"

	"hotswap/swapper"
)

// TestAPartialIndexThatHasTooManyEntriesIsDamage, which SQLite's own check of this version
// does not see.
func TestAPartialIndexThatHasTooManyEntriesIsDamage(t *testing.T) {
	t.Parallel()
	// The index is taken out of the schema, and put back with the table changed.
	behind := func(index string, changes ...string) []string {
		all := []string{
			"CREATE TABLE part (a, b, c TEXT)",
			"INSERT INTO part WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, i, 'x' FROM n",
			index,
			"PRAGMA writable_schema=ON",
			"CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'i'",
			"DELETE FROM sqlite_schema WHERE name = 'i'",
			"PRAGMA writable_schema=RESET",
		}
		return append(append(all, changes...), "PRAGMA writable_schema=ON", "INSERT INTO sqlite_schema SELECT * FROM kept", "PRAGMA writable_schema=RESET")
	}
	const byValue = "CREATE INDEX i ON part (a, (b + 1)) WHERE (b > 2) AND c = 'x' -- of those alone"
	for name, c := range map[string]struct {
		statements []string
		damaged    bool
	}{
		"as it should be":            {behind(byValue), false},
		"a comment, and a name":      {behind("CREATE INDEX i ON part (a) /* WHERE? */ WHERE \"b\" > 2"), false},
		"of a row that is gone":      {behind(byValue, "DELETE FROM part WHERE a = 4000"), true},
		"of a row that is out of it": {behind(byValue, "UPDATE part SET b = 0 WHERE a = 6"), true},
		"one that lacks a row":       {behind(byValue, "UPDATE part SET b = 7 WHERE a = 1"), true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, t.TempDir(), "")
			s.exec("CREATE TABLE part (a, b, c TEXT)")
			_, err := s.push(made(t, c.statements...), swapper.PushOptions{SkipSchemaCheck: true})
			if errors.Is(err, swapper.ErrBadDatabase) != c.damaged || c.damaged && !strings.Contains(err.Error(), "index i") || !c.damaged && err != nil {
				t.Errorf("damaged: %v; got %v", c.damaged, err)
			}
		})
	}
}

// TestAModuleThatTheCheckLacksIsSaid, although SQLite's check passes over its table.
func TestAModuleThatTheCheckLacksIsSaid(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	data := made(t, "PRAGMA writable_schema=ON",
		"INSERT INTO sqlite_schema VALUES ('table', 'f', 'f', 0, 'CREATE VIRTUAL TABLE f USING no_module_of_ours(x)')")
	for _, quick := range []bool{false, true} {
		_, err := s.push(data, swapper.PushOptions{SkipSchemaCheck: true, Quick: quick})
		if !errors.Is(err, swapper.ErrBadDatabase) || !strings.Contains(err.Error(), "no such module: no_module_of_ours") {
			t.Errorf("quick %v: %v", quick, err)
		}
	}
	if _, err := s.push(data, swapper.PushOptions{SkipSchemaCheck: true, SkipIntegrityCheck: true}); err != nil {
		t.Error(err)
	}
}
