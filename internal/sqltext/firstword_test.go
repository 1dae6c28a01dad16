package sqltext_test

import (
	"slices"
	"testing"

	"hotswap/internal/sqltext"
)

func TestTheFirstWordTellsAChange(t *testing.T) {
	for text, want := range texts {
		class := sqltext.Classify(text)
		with := sqltext.Tokens(text)[0].Is("WITH")
		for _, answer := range []bool{false, true} {
			expect := want&sqltext.Changes != 0 || makesOrTakes(sqltext.Tokens(text))
			if with {
				expect = answer
			}
			if got := sqltext.BeginsWriting(text, answer); got != expect {
				t.Errorf("%q (%+v), with %t: %t", text, class, answer, got)
			}
		}
	}
	for text, want := range map[string]bool{
		"-- name: Make :exec\nINSERT INTO t VALUES (1)": true,
		"/* a */ -- b\n\t update t SET x = 1":           true,
		"\uFEFFDelete FROM t":                           true,
		"INSERTED":                                      false,
		"INSERT":                                        true,
		"INSER":                                         false,
		"insert\u00e9":                                  false,
		"-- INSERT INTO t":                              false,
		"/* INSERT":                                     false,
		"- INSERT":                                      false,
		"\x00INSERT":                                    false,
		"":                                              false,
		"REPLACE(1)":                                    true,
		"CREATE TABLE t (x)":                            true,
		"create /* a */ unique index i ON t (x)":        true,
		"CREATE TEMP TABLE t (x)":                       false,
		"CREATE -- b\n temporary VIEW v AS SELECT 1": false,
		"CREATE TABLE temps (x)":                     true,
		"CREATE":                                     true,
		"DROP TABLE t":                               true,
		"ALTER TABLE t ADD COLUMN y":                 true,
		"ANALYZE":                                    true,
		"REINDEX t":                                  true,
		"RELEASE a":                                  false,
		"ATTACH 'a' AS a":                            false,
		"VACUUM INTO 'a'":                            false,
		"BEGIN":                                      false,
		"BEGIN DEFERRED":                             false,
		"BEGIN/**/IMMEDIATE":                         true,
		"begin exclusive transaction":                true,
	} {
		if got := sqltext.BeginsWriting(text, true); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func BenchmarkBeginsWriting(b *testing.B) {
	for b.Loop() {
		sqltext.BeginsWriting("INSERT INTO events (at, kind, payload) VALUES (?, ?, ?)", false)
		sqltext.BeginsWriting("SELECT at, kind, payload FROM events", false)
	}
}

// makesOrTakes is the rest of what is no change of rows, told by other means.
func TestTheFirstWordTellsADefinition(t *testing.T) {
	for text, want := range map[string]struct{ defines, begins bool }{
		"CREATE TABLE t (x)":            {true, false},
		"-- a\ndrop TABLE IF EXISTS t":  {true, false},
		"ALTER TABLE t ADD COLUMN y":    {true, false},
		"ANALYZE":                       {true, false},
		"REINDEX":                       {true, false},
		"RELEASE a":                     {false, false},
		"INSERT INTO t VALUES (1)":      {false, false},
		"WITH a AS (SELECT 1) SELECT 1": {false, false},
		" begin/**/IMMEDIATE":           {false, true},
		"BEGINNING":                     {false, false},
		" Vacuum":                       {false, false},
		"":                              {false, false},
	} {
		if defines, begins := sqltext.Defines(text), sqltext.BeginsWithBegin(text); defines != want.defines || begins != want.begins {
			t.Errorf("%q: defines: %t, begins: %t", text, defines, begins)
		}
		if alters := sqltext.BeginsAltering(text); alters != (want.defines || text == " Vacuum") {
			t.Errorf("%q: alters: %t", text, alters)
		}
	}
}

func makesOrTakes(tokens []sqltext.Token) bool {
	second := func(words ...string) bool {
		return len(tokens) > 1 && slices.ContainsFunc(words, tokens[1].Is)
	}
	switch t := tokens[0]; {
	case t.Is("CREATE"):
		return !second("TEMP", "TEMPORARY")
	case t.Is("BEGIN"):
		return second("IMMEDIATE", "EXCLUSIVE")
	default:
		return slices.ContainsFunc([]string{"ALTER", "DROP", "ANALYZE", "REINDEX"}, t.Is)
	}
}
