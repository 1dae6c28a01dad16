package printable

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWhatPrintsStaysAsItIs(t *testing.T) {
	for _, s := range []string{"", "db/production.sqlite3", `C:\x1b`, "größer, 大きい, 👍", "it’s “quoted”"} {
		if Line(s) != s || Lines(s) != s {
			t.Errorf("%q became %q", s, Line(s))
		}
	}
}

func TestWhatATerminalWouldObeyIsEscaped(t *testing.T) {
	for s, want := range map[string]string{
		"a\x1b[31mred":      `a\x1b[31mred`,
		"\u009b31m":         `\u009b31m`, // a CSI in one character
		"\x9b31m":           `\x9b31m`,   // and in one byte
		"over\rwritten\x7f": `over\rwritten\x7f`,
		"\u202egpj.exe":     `\u202egpj.exe`, // from right to left
		"\x00\x07":          `\x00\a`,
		"\U000e0041":        `\U000e0041`, // a tag, which shows nothing
		"two\nlines\t.":     `two\nlines\t.`,
	} {
		if got := Line(s); got != want {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
	if got := Lines("two\nlines\t.\r"); got != "two\nlines\t.\\r" {
		t.Errorf("got %q", got)
	}
}

func FuzzJSONSaysTheSame(f *testing.F) {
	f.Add("plain")
	f.Add("\u009b \u202e \x7f \U000e0041 \\u009b \xff \x1b \n")
	f.Fuzz(func(t *testing.T, s string) {
		var want, got map[string]string
		text, err := json.MarshalIndent(map[string]string{"s": s}, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		escaped := JSON(text)
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(escaped, &got); err != nil || got["s"] != want["s"] {
			t.Errorf("%q became %q, %v", want["s"], got["s"], err)
		}
		if badAt(string(escaped), true) >= 0 || !utf8.Valid(escaped) || strings.ContainsAny(string(escaped), "\x1b\u009b") {
			t.Errorf("%q does not print", escaped)
		}
	})
}
