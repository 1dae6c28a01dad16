package sqltext

import "strings"

// Does is what a statement may do, as far as its words tell: a set.
type Does uint16

const (
	// Writes: it may write a database. All that is not known to only read does.
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
	// Sets: a PRAGMA with a value that may be one of the connection's.
	Sets
	// Attaches: ATTACH or DETACH.
	Attaches
	// Selects: SELECT or VALUES, WITH WITH or without. What the functions in it do
	// nobody knows.
	Selects
	// Changes: INSERT, REPLACE, UPDATE or DELETE, with WITH or without.
	Changes
	// Returns: the statement has a RETURNING.
	Returns
	// MakesTemp: it makes something in the temp schema.
	MakesTemp
)

// Session is all that leaves something behind in its connection.
const Session = Begins | Commits | RollsBack | Savepoint | Sets | Attaches | MakesTemp

// Class tells of a text what it may do.
type Class struct {
	First   Does // the first statement
	All     Does // all of them
	Several bool // there is more than one
	// Tail: something other than white space comes behind the first semicolon, an
	// empty statement or a comment at least. go-sqlite3 runs that, too, and gives its
	// result, which is none.
	Tail bool
}

// ReadsOnly reports whether nothing in the text writes, or begins or ends a
// transaction.
func (c Class) ReadsOnly() bool {
	return c.All&(Writes|Begins|Commits|RollsBack|Savepoint) == 0
}

// Repeats reports whether the text is one statement, with nothing behind it, of a
// kind that may run many times from one compilation. PRAGMA is not: some act while they are compiled
// (https://www.sqlite.org/pragma.html, "Some pragmas run during the SQL compilation
// stage").
func (c Class) Repeats() bool { return !c.Tail && c.First&(Selects|Changes) != 0 }

// MayChangeSession is a cheap test before Classify, which looks at the first bytes
// and for a second statement only: false is certain, and what comes then is one
// statement that leaves nothing behind in its connection.
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

// Classify tells what a text may do, in one pass and without an allocation. A text
// that does not compile may be told anything of; one that does is never told less
// of than it does, but for what the functions do that it calls.
func Classify(text string) Class {
	var class Class
	n := 0
	for c := (cutter{Scanner: NewScanner(text)}); c.begin(); {
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

// classify tells of a statement from its first token.
func (c *cutter) classify(t Token) Does {
	explain := t.Is("EXPLAIN")
	if explain {
		t = c.afterExplain()
	}
	switch {
	case t.Is("PRAGMA"):
		return c.pragma() // which may act when it is only explained
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
	return Writes
}

// create looks for CREATE TEMP TABLE, and CREATE TABLE [IF NOT EXISTS] temp.x.
func (c *cutter) create() Does {
	t, _ := c.next()
	if t.Is("TEMP") || t.Is("TEMPORARY") {
		return Writes | MakesTemp
	}
	for range 6 { // as many words as come before the name, at most
		name := t
		var more bool
		if t, more = c.next(); !more {
			break
		}
		if t.IsOp(".") {
			if name.Name() == "temp" {
				return Writes | MakesTemp
			}
			break
		}
	}
	return Writes
}

// afterExplain returns the token behind EXPLAIN [QUERY PLAN].
func (c *cutter) afterExplain() Token {
	t, _ := c.next()
	if t.Is("QUERY") {
		c.next()
		t, _ = c.next()
	}
	return t
}

func (c *cutter) change() Does {
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

// with looks for what comes behind the list of common table expressions: they end
// with a bracket, and the names in the list, which may be a keyword's, do not
// follow one.
func (c *cutter) with() Does {
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

func (c *cutter) rollback() Does {
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

// pragma tells one with a value from one that asks.
func (c *cutter) pragma() (does Does) {
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
