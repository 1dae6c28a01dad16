package sqltext_test

import (
	"testing"

	"hotswap/internal/sqltext"
)

func TestTheFirstWordTellsAChange(t *testing.T) {
	for text, want := range texts {
		class := sqltext.Classify(text)
		with := sqltext.Tokens(text)[0].Is("WITH")
		for _, answer := range []bool{false, true} {
			expect := want&sqltext.Changes != 0
			if with {
				expect = answer
			}
			if got := sqltext.BeginsChange(text, answer); got != expect {
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
	} {
		if got := sqltext.BeginsChange(text, true); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

func BenchmarkBeginsChange(b *testing.B) {
	for b.Loop() {
		sqltext.BeginsChange("INSERT INTO events (at, kind, payload) VALUES (?, ?, ?)", false)
		sqltext.BeginsChange("SELECT at, kind, payload FROM events", false)
	}
}
