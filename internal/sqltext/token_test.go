package sqltext

import (
	"slices"
	"strings"
	"testing"
)

// pieces returns all tokens of a text, including white space and comments.
func pieces(text string) (all []Token) {
	for pos := 0; pos < len(text); {
		kind, n := next(text[pos:])
		if n == 0 {
			return all
		}
		all = append(all, Token{kind, text[pos : pos+n], pos})
		pos += n
	}
	return all
}

func TestATextIsCutAsSQLiteCutsIt(t *testing.T) {
	for text, want := range map[string][]Token{
		"":                              nil,
		" \t\n\f\r\va":                  {{Kind: Space, Text: " \t\n\f\r\v"}, {Kind: Word, Text: "a"}},
		"\va":                           {{Kind: Illegal, Text: "\v"}, {Kind: Word, Text: "a"}},
		"\uFEFFPRAGMA":                  {{Kind: Space, Text: "\uFEFF"}, {Kind: Word, Text: "PRAGMA"}},
		"a\uFEFFb":                      {{Kind: Word, Text: "a\uFEFFb"}},
		"-- x\n-":                       {{Kind: Comment, Text: "-- x"}, {Kind: Space, Text: "\n"}, {Kind: Operator, Text: "-"}},
		"/*/ */ /**/ /* x":              {{Kind: Comment, Text: "/*/ */"}, {Kind: Space, Text: " "}, {Kind: Comment, Text: "/**/"}, {Kind: Space, Text: " "}, {Kind: Comment, Text: "/* x"}},
		"/*":                            {{Kind: Operator, Text: "/"}, {Kind: Operator, Text: "*"}},
		`'it''s'"a""b"`:                 {{Kind: String, Text: "'it''s'"}, {Kind: Quoted, Text: `"a""b"`}},
		"[a''b]`c``d`":                  {{Kind: Quoted, Text: "[a''b]"}, {Kind: Quoted, Text: "`c``d`"}},
		"'open":                         {{Kind: Illegal, Text: "'open"}},
		"[open":                         {{Kind: Illegal, Text: "[open"}},
		"x'0f'X'0'xy":                   {{Kind: Blob, Text: "x'0f'"}, {Kind: Illegal, Text: "X'0'"}, {Kind: Word, Text: "xy"}},
		"1 1.5 .5 1e-5 0xfF 1_0 1.":     {{Kind: Number, Text: "1"}, {Kind: Space, Text: " "}, {Kind: Number, Text: "1.5"}, {Kind: Space, Text: " "}, {Kind: Number, Text: ".5"}, {Kind: Space, Text: " "}, {Kind: Number, Text: "1e-5"}, {Kind: Space, Text: " "}, {Kind: Number, Text: "0xfF"}, {Kind: Space, Text: " "}, {Kind: Number, Text: "1_0"}, {Kind: Space, Text: " "}, {Kind: Number, Text: "1."}},
		"1a":                            {{Kind: Illegal, Text: "1a"}},
		"?,?12,:a,@b,$c::d(e),:":        {{Kind: Param, Text: "?"}, {Kind: Operator, Text: ","}, {Kind: Param, Text: "?12"}, {Kind: Operator, Text: ","}, {Kind: Param, Text: ":a"}, {Kind: Operator, Text: ","}, {Kind: Param, Text: "@b"}, {Kind: Operator, Text: ","}, {Kind: Param, Text: "$c::d(e)"}, {Kind: Operator, Text: ","}, {Kind: Illegal, Text: ":"}},
		"a->>b->c||d<>e!=f==g<=h>=i<<j": {{Kind: Word, Text: "a"}, {Kind: Operator, Text: "->>"}, {Kind: Word, Text: "b"}, {Kind: Operator, Text: "->"}, {Kind: Word, Text: "c"}, {Kind: Operator, Text: "||"}, {Kind: Word, Text: "d"}, {Kind: Operator, Text: "<>"}, {Kind: Word, Text: "e"}, {Kind: Operator, Text: "!="}, {Kind: Word, Text: "f"}, {Kind: Operator, Text: "=="}, {Kind: Word, Text: "g"}, {Kind: Operator, Text: "<="}, {Kind: Word, Text: "h"}, {Kind: Operator, Text: ">="}, {Kind: Word, Text: "i"}, {Kind: Operator, Text: "<<"}, {Kind: Word, Text: "j"}},
		"a\x00b":                        {{Kind: Word, Text: "a"}},
		"'a\x00'b":                      {{Kind: Illegal, Text: "'a"}},
		"!":                             {{Kind: Illegal, Text: "!"}},
	} {
		got := pieces(text)
		for i := range got {
			got[i].Pos = 0
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q is cut into\n%+v, not\n%+v", text, got, want)
		}
	}
}

func TestNamesAreTheSameWithAnyQuotes(t *testing.T) {
	for _, text := range []string{"SiDe", `"side"`, "`SIDE`", "[side]", "'Side'"} {
		if name := Tokens(text)[0].Name(); name != "side" {
			t.Errorf("%s is the name %q", text, name)
		}
	}
	if name := Tokens(`"A""É"`)[0].Name(); name != `a"É` {
		t.Errorf("only the letters of ASCII have a case: %q", name)
	}
}

func TestCommentsAndWhiteSpaceAreNoTokens(t *testing.T) {
	a := Tokens("CREATE TABLE t(x /* ' */ CHECK (x>0)) -- it's")
	b := Tokens("\uFEFFCREATE\nTABLE t ( x CHECK(x > 0) )")
	same := slices.EqualFunc(a, b, func(a, b Token) bool { return a.Kind == b.Kind && a.Text == b.Text })
	if !same {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// FuzzSQLText: no text makes the scanner, the splitter or the classes fail; the
// pieces are the text's; and the cheap test before the classes never says no where
// it should say yes.
func FuzzSQLText(f *testing.F) {
	for _, s := range []string{
		"", "PRAGMA x=1", "pragma main.cache_size(5);ATTACH ? AS [a b]", "-- c\n/* ; */ DETACH 'x'", "'unclosed",
		"a;'b;''c';\"d\"", "PRAGMA", "ATTACH", "/*", "[", "--", "EXPLAIN EXPLAIN;x", "CREATE TRIGGER a BEGIN SELECT 1; END; BEGIN",
		"WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a RETURNING x", "\uFEFFPRAGMA foreign_keys=1", "?5 :a ? $a::b(c) x'0'",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var whole strings.Builder
		for _, p := range pieces(text) {
			whole.WriteString(p.Text)
		}
		if end := text[:zero(text)]; whole.String() != end {
			t.Errorf("%q is cut into %q", end, whole.String())
		}
		statements := Statements(text)
		rest := text
		for _, st := range statements {
			i := strings.Index(rest, st.Text)
			if i < 0 {
				t.Fatalf("%q: %q is not in what is left, %q", text, st.Text, rest)
			}
			rest = rest[i+len(st.Text):]
			if len(st.Tokens) == 0 {
				t.Errorf("%q: a statement without tokens", text)
			}
			if schema, name, _, ok := st.Pragma(); ok && name == "" && schema == "" && len(st.Tokens) > 2 && st.Tokens[1].Kind == Word {
				t.Errorf("%q: a pragma without a name", text)
			}
		}
		class := Classify(text)
		if class.Several != (len(statements) > 1) {
			t.Errorf("%q: several %v, %d statements", text, class.Several, len(statements))
		}
		var all Does
		for i, st := range statements {
			one := Classify(st.Text)
			if all |= one.All; i == 0 && one.First != class.First || one.Several {
				t.Errorf("%q: first %b, alone %+v", text, class.First, one)
			}
		}
		if all != class.All {
			t.Errorf("%q: %b, its statements alone %b", text, class.All, all)
		}
		if !MayChangeSession(text) && (class.Several || class.All&Session != 0) {
			t.Errorf("%q: %+v, and the cheap test says no", text, class)
		}
	})
}
