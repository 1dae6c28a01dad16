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
