package cursor

import (
	"slices"
	"strings"
)

// Op is an instruction of SQLite's virtual machine, as EXPLAIN lists it
// (https://www.sqlite.org/opcode.html).
type Op struct {
	Name   string
	P1, P2 int
	P4     string
}

// Program is what SQLite compiled for a statement.
type Program []Op

// MayRunAhead reports whether nobody can tell that the statement was stepped before its
// row was asked for, unless the reader changes what it reads, through the same
// connection. So between one row and the next it
//
//   - does nothing but read, and calls no function whose result depends on anything but
//     its arguments, as date('now') and changes() do, or which a program may have
//     registered;
//   - goes through no loop. A search for the next row could take for ever, with the one
//     before it found already.
//
// What is done before the first row does not count: that is waited for in any case. And
// all that it reads is in the main database, so that a read transaction there keeps it.
func (p Program) MayRunAhead() bool {
	if len(p) == 0 {
		return false
	}
	for _, op := range p {
		if op.Name == "Transaction" && (op.P1 != 0 || op.P2 != 0) || op.Name == "VOpen" || op.Name == "OpenWrite" {
			return false
		}
	}
	const unseen, open, closed = 0, 1, 2
	seen := make([]int, len(p))
	var runs func(at int) bool
	runs = func(at int) bool {
		if at < 0 || at >= len(p) || seen[at] == open {
			return false
		}
		op := p[at]
		if seen[at] == closed || op.Name == "ResultRow" || op.Name == "Halt" {
			return true
		}
		seen[at] = open
		defer func() { seen[at] = closed }()
		if op.Name == "Goto" {
			return runs(op.P2)
		}
		return (straight[op.Name] || pure(op)) && runs(at+1) || jumps[op.Name] && runs(at+1) && (op.P2 == 0 || runs(op.P2))
	}
	rows := 0
	for at, op := range p {
		if op.Name == "ResultRow" {
			rows++
			if !runs(at + 1) {
				return false
			}
		}
	}
	return rows > 0
}

// WritesMain reports whether the statement begins with the write lock of main.
func (p Program) WritesMain() bool {
	return slices.ContainsFunc(p, func(op Op) bool { return op.Name == "Transaction" && op.P1 == 0 && op.P2 != 0 })
}

func set(names string) map[string]bool {
	m := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		m[name] = true
	}
	return m
}

var (
	// straight are followed by the next, whatever they find, and change nothing but
	// registers and cursors.
	straight = set(`Integer Int64 Real String String8 Null SoftNull Blob Variable Move Copy SCopy IntCopy
		Add Subtract Multiply Divide Remainder BitAnd BitOr ShiftLeft ShiftRight BitNot Concat And Or Not IsTrue
		Cast RealAffinity Affinity CollSeq ZeroOrNull ClrSubtype AddImm MakeRecord Column Rowid IdxRowid RowData
		NullRow DeferredSeek FinishSeek SorterData OpenPseudo Noop Explain ColumnsUsed CursorHint ReleaseReg`)

	// jumps are followed by the next, or by P2, where that is not 0.
	jumps = set(`If IfNot IsNull NotNull IsType IfNullRow IfPos IfNotZero DecrJumpZero MustBeInt
		Eq Ne Lt Le Gt Ge ElseEq Next Prev SorterNext IdxLE IdxGT IdxLT IdxGE SeekRowid NotExists`)

	functions = set(`abs coalesce hex ifnull iif instr length likely likelihood lower ltrim max min nullif
		octet_length quote round rtrim sign substr substring trim typeof unicode unlikely upper`)
)

func pure(op Op) bool {
	if op.Name != "Function" && op.Name != "PureFunc" {
		return false
	}
	name, _, _ := strings.Cut(op.P4, "(")
	return functions[name]
}
