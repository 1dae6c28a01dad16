// Package sqltext reads SQL texts as SQLite does: it splits them into tokens
// (https://www.sqlite.org/draft/tokenreq.html) and statements, and classifies what a
// text may do. It is not a parser: for a text that does not compile the answer may be
// anything.
package sqltext

import "strings"

// Kind is a token's kind.
type Kind uint8

const (
	Space    Kind = iota // white space, or a byte order mark
	Comment              // -- to the end of the line, or /* */
	Word                 // a keyword or a name without quotes
	Quoted               // "name", `name` or [name]
	String               // 'text'
	Blob                 // x'00'
	Number               // 1, 1.5, 0xFF
	Param                // ?, ?1, :name, @name, $name
	Operator             // signs, including the semicolon
	Illegal              // what SQLite rejects
)

// Token is one token of a text.
type Token struct {
	Kind Kind
	Text string // as written
	Pos  int    // its offset in the text, in bytes
}

// Is reports whether the token is the keyword, which must be in capitals.
func (t Token) Is(keyword string) bool {
	return t.Kind == Word && equalFold(t.Text, keyword)
}

// IsOp reports whether the token is the operator.
func (t Token) IsOp(sign string) bool { return t.Kind == Operator && t.Text == sign }

// Name returns what the token names: without quotes, and in lower case as far as SQLite
// ignores case, which is for ASCII letters. A string stands for a name where one is
// expected.
func (t Token) Name() string {
	return Lower(t.Value())
}

// Value returns the token's text without its quotes.
func (t Token) Value() string {
	if len(t.Text) < 2 || t.Kind != Quoted && t.Kind != String {
		return t.Text
	}
	inner := t.Text[1 : len(t.Text)-1]
	if q := t.Text[:1]; q != "[" {
		inner = strings.ReplaceAll(inner, q+q, q)
	}
	return inner
}

// Tokens returns the tokens of a text without white space and comments.
func Tokens(text string) []Token {
	var all []Token
	for s := (Scanner{text: text}); ; {
		t, ok := s.Next()
		if !ok {
			return all
		}
		all = append(all, t)
	}
}

// Scanner goes through the tokens of a text, skipping white space and comments. It does
// not allocate.
type Scanner struct {
	text string
	pos  int
}

// NewScanner returns a scanner at the start of the text.
func NewScanner(text string) Scanner { return Scanner{text: text} }

// Next returns the next token; false at the end.
func (s *Scanner) Next() (Token, bool) {
	for s.pos < len(s.text) {
		kind, n := next(s.text[s.pos:])
		if n == 0 {
			return Token{}, false
		}
		pos := s.pos
		s.pos += n
		if kind != Space && kind != Comment {
			return Token{kind, s.text[pos:s.pos], pos}, true
		}
	}
	return Token{}, false
}

// next returns the kind and the length of the token at the start of the text. The
// length is 0 at a zero byte, where a text ends for SQLite.
func next(z string) (Kind, int) {
	switch b := z[0]; {
	case wordByte(b):
		switch {
		case digit(b):
			return number(z)
		case b == '$':
			return param(z)
		case b|0x20 == 'x' && at(z, 1) == '\'':
			return blob(z)
		case b == 0xEF && strings.HasPrefix(z, "\xEF\xBB\xBF"):
			return Space, 3
		}
		i := 1
		for i < len(z) && wordByte(z[i]) {
			i++
		}
		return Word, i
	case b == ' ' || b == '\t' || b == '\n' || b == '\f' || b == '\r':
		i := 1
		for i < len(z) && space(z[i]) {
			i++
		}
		return Space, i
	}
	switch z[0] {
	case 0:
		return Illegal, 0
	case '-':
		switch at(z, 1) {
		case '-':
			if i := strings.IndexAny(z, "\n\x00"); i >= 0 {
				return Comment, i
			}
			return Comment, len(z)
		case '>':
			if at(z, 2) == '>' {
				return Operator, 3
			}
			return Operator, 2
		}
		return Operator, 1
	case '/':
		if at(z, 1) != '*' || at(z, 2) == 0 {
			return Operator, 1
		}
		z = z[:zero(z)]
		if i := strings.Index(z[2:], "*/"); i >= 0 {
			return Comment, 2 + i + 2
		}
		return Comment, len(z)
	case '\'', '"', '`':
		return quoted(z)
	case '[':
		z = z[:zero(z)]
		if i := strings.IndexByte(z, ']'); i >= 0 {
			return Quoted, i + 1
		}
		return Illegal, len(z)
	case '.':
		if digit(at(z, 1)) {
			return number(z)
		}
		return Operator, 1
	case '?':
		i := 1
		for digit(at(z, i)) {
			i++
		}
		return Param, i
	case '@', ':', '#':
		return param(z)
	case '=', '|':
		if at(z, 1) == z[0] {
			return Operator, 2
		}
		return Operator, 1
	case '<':
		if c := at(z, 1); c == '=' || c == '>' || c == '<' {
			return Operator, 2
		}
		return Operator, 1
	case '>':
		if c := at(z, 1); c == '=' || c == '>' {
			return Operator, 2
		}
		return Operator, 1
	case '!':
		if at(z, 1) == '=' {
			return Operator, 2
		}
		return Illegal, 1
	case '(', ')', ';', '+', '*', '%', ',', '&', '~':
		return Operator, 1
	}
	return Illegal, 1
}

// at returns a byte of the text, or zero past its end.
func at(z string, i int) byte {
	if i < len(z) {
		return z[i]
	}
	return 0
}

// zero returns where the text ends for SQLite.
func zero(z string) int {
	if i := strings.IndexByte(z, 0); i >= 0 {
		return i
	}
	return len(z)
}

func quoted(z string) (Kind, int) {
	q, i := z[0], 1
	for ; at(z, i) != 0; i++ {
		if z[i] != q {
			continue
		}
		if at(z, i+1) != q {
			if q == '\'' {
				return String, i + 1
			}
			return Quoted, i + 1
		}
		i++
	}
	return Illegal, i
}

func blob(z string) (Kind, int) {
	i := 2
	for hex(at(z, i)) {
		i++
	}
	kind := Blob
	if at(z, i) != '\'' || i%2 != 0 {
		kind = Illegal
		for at(z, i) != 0 && z[i] != '\'' {
			i++
		}
	}
	if at(z, i) != 0 {
		i++
	}
	return kind, i
}

// number reads 1, 1.5, .5, 1e-5, 0xFF, and 1_000 in any of them.
func number(z string) (Kind, int) {
	i := 0
	digits := func(is func(byte) bool) {
		for is(at(z, i)) || at(z, i) == '_' {
			i++
		}
	}
	if z[0] == '0' && at(z, 1)|0x20 == 'x' && hex(at(z, 2)) {
		i = 3
		digits(hex)
	} else {
		digits(digit)
		if at(z, i) == '.' {
			i++
			digits(digit)
		}
		if e := at(z, i+1); at(z, i)|0x20 == 'e' && (digit(e) || (e == '+' || e == '-') && digit(at(z, i+2))) {
			i += 2
			digits(digit)
		}
	}
	kind := Number
	for i < len(z) && wordByte(z[i]) {
		kind = Illegal
		i++
	}
	return kind, i
}

// param reads :name and its like, and Tcl's $ns::name(index).
func param(z string) (Kind, int) {
	n, i := 0, 1
	for ; i < len(z); i++ {
		switch c := z[i]; {
		case wordByte(c):
			n++
			continue
		case c == '(' && n > 0:
			for i++; at(z, i) != 0 && !space(z[i]) && z[i] != ')'; i++ {
			}
			if at(z, i) != ')' {
				return Illegal, i
			}
			return Param, i + 1
		case c == ':' && at(z, i+1) == ':':
			i++
			continue
		}
		break
	}
	if n == 0 {
		return Illegal, i
	}
	return Param, i
}

// classes says what each byte may be part of.
var classes = func() (c [256]uint8) {
	for b := range 256 {
		switch {
		case '0' <= b && b <= '9':
			c[b] = inWord | isDigit | isHex
		case 'a' <= b|0x20 && b|0x20 <= 'f' && b < 0x80:
			c[b] = inWord | isHex
		case 'a' <= b|0x20 && b|0x20 <= 'z' && b < 0x80, b == '_', b == '$', b >= 0x80:
			c[b] = inWord
		case b == ' ', '\t' <= b && b <= '\r': // '\v' continues white space, but begins none
			c[b] = isSpace
		}
	}
	return c
}()

const (
	inWord = 1 << iota
	isDigit
	isHex
	isSpace
)

func wordByte(b byte) bool { return classes[b]&inWord != 0 }
func digit(b byte) bool    { return classes[b]&isDigit != 0 }
func hex(b byte) bool      { return classes[b]&isHex != 0 }
func space(b byte) bool    { return classes[b]&isSpace != 0 }

// equalFold compares a word with a keyword in capitals, as SQLite does: only ASCII
// letters have case.
func equalFold(word, keyword string) bool {
	if len(word) != len(keyword) {
		return false
	}
	for i := range len(word) {
		b := word[i]
		if 'a' <= b && b <= 'z' {
			b -= 'a' - 'A'
		}
		if b != keyword[i] {
			return false
		}
	}
	return true
}

// Lower puts a name into lower case as SQLite compares names: only ASCII letters.
func Lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := range b {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
