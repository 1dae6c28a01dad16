package swapper

import (
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
