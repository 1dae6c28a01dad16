// Package printable makes text from elsewhere fit to print: a name that a client made
// up, a path, a query, an error with any of them in it. A terminal obeys control
// characters, wherever they come from; and characters that pose as others, or reverse
// the direction of writing, make a text say what it does not.
package printable

import (
	"bytes"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Line returns s as one line, with what does not print escaped as in a Go string.
func Line(s string) string { return escape(s, false) }

// Lines is Line for a text that may have several lines, and tabs.
func Lines(s string) string { return escape(s, true) }

// Path returns text with the path, its directory and its base name replaced by their
// Line, wherever they are in it: system errors contain them as they are.
func Path(text, path string) string {
	for _, part := range []string{path, filepath.Dir(path), filepath.Base(path)} {
		if shown := Line(part); shown != part {
			text = strings.ReplaceAll(text, part, shown)
		}
	}
	return text
}

func escape(s string, lines bool) string {
	bad := badAt(s, lines)
	if bad < 0 {
		return s
	}
	var b strings.Builder
	for bad >= 0 {
		b.WriteString(s[:bad])
		_, size := utf8.DecodeRuneInString(s[bad:])
		quoted := strconv.Quote(s[bad : bad+size])
		b.WriteString(quoted[1 : len(quoted)-1])
		s = s[bad+size:]
		bad = badAt(s, lines)
	}
	b.WriteString(s)
	return b.String()
}

// badAt returns the index of the first rune that does not print, or of a byte that is
// part of none; -1 if there is neither.
func badAt(s string, lines bool) int {
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			return i
		case lines && (r == '\n' || r == '\t'):
		case !strconv.IsPrint(r):
			return i
		}
	}
	return -1
}

// JSON returns equivalent JSON with what does not print escaped; the encoder leaves
// much of that as it is.
func JSON(text []byte) []byte {
	if badAt(string(text), true) < 0 {
		return text
	}
	var b bytes.Buffer
	for i, r := range string(text) {
		switch {
		case r == '\n' || r == '\t' || strconv.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			writeEscape(&b, 0xd800+r>>10)
			writeEscape(&b, 0xdc00+r&0x3ff)
		case r < ' ': // between values: no encoder writes it within a string
			b.WriteByte(text[i])
		default:
			writeEscape(&b, r)
		}
	}
	return b.Bytes()
}

func writeEscape(b *bytes.Buffer, r rune) {
	b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		b.WriteByte("0123456789abcdef"[r>>shift&0xf])
	}
}
