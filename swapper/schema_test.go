package swapper

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestSchemasAreComparedByTheirTokens(t *testing.T) {
	t.Parallel()
	const table = "CREATE TABLE t (a INT, b TEXT DEFAULT 'x  y')"
	for text, same := range map[string]bool{
		"CREATE TABLE t(a INT,b TEXT DEFAULT 'x  y')":                                true,
		"CREATE TABLE t\n(\n\ta INT,\f\r\n\tb TEXT  DEFAULT\t'x  y'\n)":              true,
		"CREATE TABLE t (a INT, -- it's the user's\n b TEXT DEFAULT 'x  y')":         true,
		"CREATE TABLE t (a/* a, b */INT, b TEXT DEFAULT 'x  y') -- , CHECK (a > 0))": true,
		"CREATE TABLE t (a INT, b TEXT DEFAULT 'x  y' /* unended":                    false,
		"CREATE TABLE t (a INT, b TEXT DEFAULT 'x y')":                               false,
		"CREATE TABLE t (a INT, b TEXT DEFAULT 'x  y' -- CHECK (a > 0)\n)":           true,
		"CREATE TABLE t (a INT, b TEXT DEFAULT 'x  y' CHECK (a > 0))":                false,
		"CREATE TABLE t (a INT, b TEXT DEFAULT 'x  y' -- it's\nCHECK (a > 0)\n)":     false,
		"CREATE TABLE t (a INT, b TEXT DEFAULT '-- x  y')":                           false,
		"CREATE TABLE t (aINT, b TEXT DEFAULT 'x  y')":                               false,
		"CREATE TABLE t (A INT, b TEXT DEFAULT 'x  y')":                              false,
		"CREATE TABLE t (\"a\" INT, b TEXT DEFAULT 'x  y')":                          false,
	} {
		err := schema{"table t": define(table)}.compare(schema{"table t": define(text)})
		if (err == nil) != same {
			t.Errorf("%s: %v", text, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("not on one line: %q", err)
		}
	}
	for text, same := range map[string]bool{
		"CREATE VIRTUAL TABLE f USING fts4(a, tokenize=simple)": true,
		"CREATE VIRTUAL TABLE f USING fts4(a,tokenize=simple)":  false,
	} {
		err := schema{"table f": define("CREATE VIRTUAL TABLE f USING fts4(a, tokenize=simple)")}.compare(schema{"table f": define(text)})
		if (err == nil) != same {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestWhatDiffersInTwoSchemasIsListedAndCounted(t *testing.T) {
	t.Parallel()
	live, new := schema{"table gone": define("CREATE TABLE gone (a)"), "table t": define("CREATE TABLE t (a)"), "index same": define("CREATE INDEX same ON t (a)")},
		schema{"table t": define("CREATE TABLE t (a, b)"), "index same": define("CREATE INDEX same ON t(a)"), "view more": define("CREATE VIEW more AS SELECT 1")}
	err := live.compare(new)
	var differs *SchemaError
	if !errors.Is(err, ErrSchema) || !errors.Is(err, ErrBadDatabase) || !errors.As(err, &differs) {
		t.Fatalf("got %v", err)
	}
	want := []SchemaDifference{
		{"table gone", "CREATE TABLE gone(a)", ""},
		{"table t", "CREATE TABLE t(a)", "CREATE TABLE t(a,b)"},
		{"view more", "", "CREATE VIEW more AS SELECT 1"},
	}
	if !slices.Equal(differs.Differences, want) || differs.More != 0 {
		t.Errorf("got %+v", differs)
	}
	const text = "the schema differs from the live one: table gone is missing; " +
		"table t differs (live: CREATE TABLE t(a)) (new: CREATE TABLE t(a,b)); view more is not in the live database"
	if err.Error() != text {
		t.Errorf("got %s", err)
	}
	for i := range 60 {
		new[fmt.Sprintf("table z%02d", i)] = define("CREATE TABLE z (a)")
	}
	if err := live.compare(new); !errors.As(err, &differs) || len(differs.Differences) != 50 || differs.More != 13 ||
		!strings.HasSuffix(err.Error(), "table z07 is not in the live database; and 53 more") {
		t.Errorf("got %v", err)
	}
}

func TestASchemaWithoutACommonTableAsksForTheRightDatabase(t *testing.T) {
	t.Parallel()
	users, orders := schema{"table users": define("CREATE TABLE users (a)"), "view v": define("CREATE VIEW v AS SELECT 1")},
		schema{"table orders": define("CREATE TABLE orders (a)"), "view v": define("CREATE VIEW v AS SELECT 1")}
	for _, test := range []struct {
		new  schema
		asks bool
	}{
		{orders, true},
		{schema{"table users": define("CREATE TABLE users (a, b)")}, false},
		{schema{}, false}, // it is empty, which the differences say
	} {
		if hint := hintOf(users.compare(test.new)); strings.Contains(hint, "is this the right source, and the right database?") != test.asks {
			t.Errorf("%v: %s", test.new, hint)
		}
		if says := users.compare(test.new).Error(); strings.HasPrefix(says, "the new database and the live one have no table in common: ") != test.asks {
			t.Errorf("%v: %s", test.new, says)
		}
	}
}
