package sqltext

import (
	"strconv"
	"strings"
)

// Statement is one statement of a text.
type Statement struct {
	Text   string  // from its first token to its last, without the semicolon
	Tokens []Token // without white space and comments
	// Params is how many parameters it takes, as SQLite numbers them: the highest
	// number among them.
	Params int
	// FirstParam is how many parameters come before it in the text: the index of its
	// first argument in a call that gives arguments for the whole text.
	FirstParam int
}

// Statements splits a text into its statements, leaving out empty ones.
func Statements(text string) []Statement {
	var all []Statement
	before := 0
	for c := (splitter{Scanner: NewScanner(text)}); c.begin(); {
		st := Statement{FirstParam: before}
		var numbers numbering
		for {
			t, more := c.next()
			if !more {
				break
			}
			st.Tokens = append(st.Tokens, t)
			numbers.number(t)
		}
		if len(st.Tokens) > 0 {
			last := st.Tokens[len(st.Tokens)-1]
			st.Text = text[st.Tokens[0].Pos : last.Pos+len(last.Text)]
			st.Params = numbers.count
			before += st.Params
			all = append(all, st)
		}
	}
	return all
}

// Number returns which of the statement's parameters the token is, from 1; 0 if it is
// none of them.
func (st *Statement) Number(t Token) int {
	var numbers numbering
	for _, o := range st.Tokens {
		n := numbers.number(o)
		if o.Pos == t.Pos {
			return n
		}
	}
	return 0
}

// numbering gives parameters their numbers (https://www.sqlite.org/lang_expr.html,
// "Parameters"): ? gets the highest so far plus one, ?NNN its own, and a name that came
// before the same as then.
type numbering struct {
	count int
	names map[string]int
}

func (n *numbering) number(t Token) int {
	if t.Kind != Param {
		return 0
	}
	if t.Text == "?" {
		n.count++
		return n.count
	}
	if t.Text[0] == '?' {
		number, err := strconv.Atoi(t.Text[1:])
		if err != nil || number > maxParam {
			return 0 // which SQLite rejects
		}
		n.count = max(n.count, number)
		return number
	}
	number, ok := n.names[t.Text]
	if !ok {
		if n.names == nil {
			n.names = map[string]int{}
		}
		n.count++
		number = n.count
		n.names[t.Text] = number
	}
	return number
}

// maxParam is SQLite's limit, SQLITE_MAX_VARIABLE_NUMBER.
const maxParam = 32766

// splitter goes through a text, statement by statement: begin, next until it returns
// false, begin and so on. A semicolon ends a statement, except within a trigger's body,
// which "; END" ends (https://www.sqlite.org/c3ref/complete.html).
type splitter struct {
	Scanner
	place place
	began bool // the statement has had a token
	end   bool // of the statement
	over  bool // it is the text's end, too
}

// place is how much of CREATE TRIGGER has been seen.
type place uint8

const (
	atStart     place = iota // nothing, or EXPLAIN
	afterCreate              // CREATE [TEMP | TEMPORARY]
	elsewhere                // not in a CREATE TRIGGER
	inTrigger
	afterSemi // in a trigger
)

// begin goes to the start of the next statement, which may be empty; false at the end
// of the text.
func (c *splitter) begin() bool {
	if c.began {
		c.skip()
	}
	c.place, c.began, c.end = atStart, false, false
	return !c.over
}

// skip goes to the end of the statement.
func (c *splitter) skip() {
	for more := true; more; {
		_, more = c.next()
	}
}

// next returns the statement's next token; false at its end.
func (c *splitter) next() (Token, bool) {
	if c.end {
		return Token{}, false
	}
	t, ok := c.Next()
	isSemi := ok && t.IsOp(";")
	if !ok || isSemi && c.place < inTrigger {
		c.end, c.over = true, !ok
		return Token{}, false
	}
	c.began = true
	switch c.place {
	case atStart:
		switch {
		case t.Is("CREATE"):
			c.place = afterCreate
		case !t.Is("EXPLAIN") && !t.Is("QUERY") && !t.Is("PLAN"):
			c.place = elsewhere
		}
	case afterCreate:
		switch {
		case t.Is("TRIGGER"):
			c.place = inTrigger
		case !t.Is("TEMP") && !t.Is("TEMPORARY"):
			c.place = elsewhere
		}
	case elsewhere:
	case inTrigger, afterSemi:
		switch {
		case isSemi:
			c.place = afterSemi
		case c.place == afterSemi && t.Is("END"):
			c.place = elsewhere
		default:
			c.place = inTrigger
		}
	}
	return t, true
}

// Pragma parses [EXPLAIN [QUERY PLAN]] PRAGMA [schema.]name [= value | (value)]. The
// schema and the value are "" if not given; names are in lower case, as SQLite compares
// them.
func (st *Statement) Pragma() (schema, name, value string, ok bool) {
	tokens := afterExplain(st.Tokens)
	if len(tokens) < 2 || !tokens[0].Is("PRAGMA") {
		return "", "", "", false
	}
	tokens = tokens[1:]
	if len(tokens) > 2 && tokens[1].IsOp(".") {
		schema, tokens = tokens[0].Name(), tokens[2:]
	}
	name, tokens = tokens[0].Name(), tokens[1:]
	if len(tokens) < 2 || !tokens[0].IsOp("=") && !tokens[0].IsOp("(") {
		return schema, name, "", true
	}
	var b strings.Builder
	for _, t := range tokens[1:] {
		if t.IsOp(")") {
			break
		}
		b.WriteString(t.Value())
	}
	return schema, name, b.String(), true
}

func afterExplain(tokens []Token) []Token {
	if len(tokens) > 0 && tokens[0].Is("EXPLAIN") {
		tokens = tokens[1:]
		if len(tokens) > 1 && tokens[0].Is("QUERY") && tokens[1].Is("PLAN") {
			tokens = tokens[2:]
		}
	}
	return tokens
}
