package sqltext

import "strings"

// Does is a set of things that a statement may do, judging by its words.
type Does uint16

const (
	// Writes: it may write a database. Set for all that is not known to only read.
	Writes Does = 1 << iota
	// Begins: BEGIN, or SAVEPOINT, which begins a transaction where none is open.
	Begins
	// Commits: COMMIT or END.
	Commits
	// RollsBack: ROLLBACK, not to a savepoint.
	RollsBack
	// Savepoint: SAVEPOINT, RELEASE or ROLLBACK TO, which act within a transaction
	// or are one.
	Savepoint
	// Sets: a PRAGMA with a value, which may be a setting of the connection.
	Sets
	// Attaches: ATTACH or DETACH.
	Attaches
	// Selects: SELECT or VALUES, with or without WITH. What the functions in it do is
	// unknown.
	Selects
	// Changes: INSERT, REPLACE, UPDATE or DELETE, with or without WITH.
	Changes
	// Returns: it has a RETURNING clause.
	Returns
	// MakesTemp: it creates something in the temp schema.
	MakesTemp
	// Alters: it may change a schema, in the manner of CREATE.
	Alters
)

// Session is everything that leaves something behind in its connection.
const Session = Begins | Commits | RollsBack | Savepoint | Sets | Attaches | MakesTemp

// Class says what a text may do.
type Class struct {
	First   Does // the first statement
	All     Does // all of them
	Several bool // there is more than one
	// Tail: something other than white space follows the first semicolon, be it an
	// empty statement or a comment. go-sqlite3 runs that, too, and returns its result,
	// which is none.
	Tail bool
}

// ReadsOnly reports whether nothing in the text writes, or begins or ends a
// transaction.
func (c Class) ReadsOnly() bool {
	return c.All&(Writes|Begins|Commits|RollsBack|Savepoint) == 0
}

// Repeats reports whether the text is one statement, with nothing after it, of a kind
// that can be compiled once and run many times. PRAGMA is not: some act while they are
// compiled (https://www.sqlite.org/pragma.html, "Some pragmas run during the SQL
// compilation stage").
func (c Class) Repeats() bool { return !c.Tail && c.First&(Selects|Changes) != 0 }

// MayChangeSession is a cheap test before Classify that looks only at the first bytes
// and for a second statement. False is certain: the text is one statement that leaves
// nothing behind in its connection.
func MayChangeSession(text string) bool {
	for i := 0; i < len(text); i++ {
		switch b := text[i]; b {
		case ' ', '\t', '\r', '\n', '\f', '\v':
			continue
		case 'p', 'P', 'b', 'B', '-', '/', ';', 0xEF, 'c', 'C', 'e', 'E':
			// PRAGMA, BEGIN, a comment, nothing, a byte order mark; COMMIT,
			// CREATE TEMP; END, EXPLAIN PRAGMA.
			return true
		case 'r', 'R':
			// REPLACE, REINDEX; else ROLLBACK, RELEASE
			return !second(text, i, 'e') || second(text, i+1, 'l') || several(text[i:])
		case 's', 'S':
			return second(text, i, 'a') || several(text[i:]) // SAVEPOINT; else SELECT
		case 'a', 'A':
			return second(text, i, 't') || several(text[i:]) // ATTACH; else ALTER, ANALYZE
		case 'd', 'D':
			// DETACH; else DELETE, DROP
			return second(text, i, 'e') && second(text, i+1, 't') || several(text[i:])
		default:
			return several(text[i:])
		}
	}
	return false
}

func second(text string, i int, b byte) bool { return i+1 < len(text) && text[i+1]|0x20 == b }

// several reports whether a semicolon comes before the text's last byte.
func several(text string) bool {
	i := strings.IndexByte(text, ';')
	return i >= 0 && i < len(text)-1
}

// Classify says what a text may do, in one pass and without allocating. For a text that
// does not compile the answer may be anything; for one that does, it leaves out nothing
// that the text does, except in the functions that it calls.
func Classify(text string) Class {
	var class Class
	n := 0
	for c := (splitter{Scanner: NewScanner(text)}); c.begin(); {
		first := c.pos == 0
		if t, any := c.next(); any {
			does := c.classify(t)
			class.All |= does
			if n++; n == 1 {
				class.First = does
			}
		}
		if first {
			c.skip()
			class.Tail = !c.over && strings.TrimLeft(text[c.pos:], " \t\r\n") != ""
		}
	}
	class.Several = n > 1
	return class
}

// classify judges a statement from its first token on.
func (c *splitter) classify(t Token) Does {
	explain := t.Is("EXPLAIN")
	if explain {
		t = c.afterExplain()
	}
	switch {
	case t.Is("PRAGMA"):
		return c.pragma() // which may act even under EXPLAIN
	case explain:
		return 0
	case t.Is("SELECT"), t.Is("VALUES"):
		return Selects
	case t.Is("INSERT"), t.Is("REPLACE"), t.Is("UPDATE"), t.Is("DELETE"):
		return c.change()
	case t.Is("WITH"):
		return c.with()
	case t.Is("BEGIN"):
		return Begins
	case t.Is("COMMIT"), t.Is("END"):
		return Commits
	case t.Is("ROLLBACK"):
		return c.rollback()
	case t.Is("SAVEPOINT"):
		return Begins | Savepoint
	case t.Is("RELEASE"):
		return Savepoint
	case t.Is("ATTACH"), t.Is("DETACH"):
		return Attaches
	case t.Is("CREATE"):
		return c.create()
	}
	return Writes | Alters
}

// create looks for CREATE TEMP TABLE, and CREATE TABLE [IF NOT EXISTS] temp.x.
func (c *splitter) create() Does {
	t, _ := c.next()
	if t.Is("TEMP") || t.Is("TEMPORARY") {
		return Writes | Alters | MakesTemp
	}
	for range 6 { // at most as many words come before the name
		name := t
		var more bool
		if t, more = c.next(); !more {
			break
		}
		if t.IsOp(".") {
			if name.Name() == "temp" {
				return Writes | Alters | MakesTemp
			}
			break
		}
	}
	return Writes | Alters
}

// afterExplain returns the token after EXPLAIN [QUERY PLAN].
func (c *splitter) afterExplain() Token {
	t, _ := c.next()
	if t.Is("QUERY") {
		c.next()
		t, _ = c.next()
	}
	return t
}

func (c *splitter) change() Does {
	does := Writes | Changes
	for {
		t, more := c.next()
		if !more {
			return does
		}
		if t.Is("RETURNING") {
			does |= Returns
		}
	}
}

// with looks for what follows the list of common table expressions: they end with a
// bracket, and the names in the list, which may be keywords, do not follow one.
func (c *splitter) with() Does {
	depth, closed := 0, false
	for {
		t, more := c.next()
		switch {
		case !more:
			return Writes
		case t.IsOp("("):
			depth++
		case t.IsOp(")"):
			depth--
			closed = true
			continue
		case depth > 0 || !closed:
		case t.Is("SELECT"), t.Is("VALUES"):
			return Selects
		case t.Is("INSERT"), t.Is("REPLACE"), t.Is("UPDATE"), t.Is("DELETE"):
			return c.change()
		}
		closed = false
	}
}

func (c *splitter) rollback() Does {
	does := RollsBack
	for {
		t, more := c.next()
		if !more {
			return does
		}
		if t.Is("TO") {
			does = Savepoint
		}
	}
}

// pragma tells a pragma that sets a value from one that asks for it.
func (c *splitter) pragma() (does Does) {
	name, _ := c.next()
	sign, _ := c.next()
	if sign.IsOp(".") {
		name, _ = c.next()
		sign, _ = c.next()
	}
	value := sign.IsOp("=") || sign.IsOp("(")
	if value && !asks(name) {
		does = Sets
	}
	if does == Sets && !ofConnection(name) || acts(name) {
		does |= Writes
	}
	return does
}
