package peers

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAMessageHasNoMoreThanALine(t *testing.T) {
	m := Message{Op: Held, Why: strings.Repeat("ü", maxLine)}
	for range 2 * maxHolders {
		m.Holders = append(m.Holders, Holder{Kind: "call", Query: strings.Repeat("\x01", maxLine)})
	}
	line, err := m.encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(line) > maxLine {
		t.Errorf("%d bytes", len(line))
	}
	got, err := decode(line)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Holders) != maxHolders || len(got.Why) > maxText || len(got.Why) < maxText-utf8.UTFMax || !utf8.ValidString(got.Why) {
		t.Errorf("%d holders, %d bytes of text", len(got.Holders), len(got.Why))
	}
	if _, err := (Message{Op: State, Stats: json.RawMessage(`"` + strings.Repeat("x", maxLine) + `"`)}).encode(); err == nil {
		t.Error("a line that is too long is sent")
	}
}

// FuzzMessage: whatever comes is refused, or is a message that comes back the same.
func FuzzMessage(f *testing.F) {
	for _, seed := range []string{
		`{"v":1,"op":"join","file":{"dev":66304,"ino":1234}}`,
		`{"op":"held","n":3,"holders":[{"kind":"rows","query":"SELECT 1","for_ns":1000}]}`,
		`{"op":"thaw","n":9,"swapped":true,"file":{"dev":1,"ino":2}}`,
		`{"op":"joined","v":1,"base":"/w==","dir":{"dev":1,"ino":2},"mount":true,"pid":4,"program":"web"}`,
		`{"op":"state","stats":{"connections":3}}`,
		`{"op":"x","n":18446744073709551615}`, `{}`, `null`, `[]`, "", "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := decode(line)
		if err != nil {
			return
		}
		if m.Op == "" || m.For < 0 || m.Pause < 0 || m.Connections < 0 || len(m.Holders) > maxHolders {
			t.Fatalf("%q is taken for %+v", line, m)
		}
		sent, err := m.encode()
		if err != nil {
			return // too long to be sent
		}
		if len(sent) > maxLine {
			t.Fatalf("a line of %d bytes", len(sent))
		}
		once, err := decode(sent)
		if err != nil {
			t.Fatalf("%q is sent as %q: %v", line, sent, err)
		}
		again, err := once.encode()
		if err != nil || string(again) != string(sent) {
			t.Fatalf("%q becomes %q, %v", sent, again, err)
		}
		twice, err := decode(again)
		if err != nil || !reflect.DeepEqual(once, twice) {
			t.Fatalf("%+v becomes %+v, %v", once, twice, err)
		}
	})
}
