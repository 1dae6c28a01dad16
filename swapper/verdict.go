package swapper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// verdict is what an integrity check found: damage, and rows that are whole and
// break a rule of their own table. Those come about without damage: the rule was
// added by hand, or is newer than the row, or was switched off (PRAGMA
// ignore_check_constraints).
type verdict struct {
	subject         string
	skipConstraints bool
	hook            error // why the program's connect hook did not run

	damage     []string
	violations []violation
	messages   int // of the run, of both kinds
}

// violation is a rule that is broken, and by how many rows.
type violation struct {
	rule string
	rows int
}

// usualMessages is after how many SQLite's check ends by default.
const usualMessages = 100

// full reports whether the check may have ended before it found any damage.
func (v *verdict) full() bool { return v.messages >= usualMessages && len(v.damage) == 0 }

// enough reports whether nothing that follows would be shown.
func (v *verdict) enough() bool { return len(v.damage) >= usualMessages }

// forget makes room for another run.
func (v *verdict) forget() { v.damage, v.violations, v.messages = nil, nil, 0 }

// take sorts what the check says in one row: a rule that one row breaks, or, of
// the pages, all that it found, a line each, below a line for the database.
func (v *verdict) take(text string) {
	if text == "ok" {
		return
	}
	if isViolation(text) {
		v.messages++
		i := slices.IndexFunc(v.violations, func(o violation) bool { return o.rule == text })
		if i < 0 {
			v.violations, i = append(v.violations, violation{rule: text}), len(v.violations)
		}
		v.violations[i].rows++
		return
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "***") {
			v.messages++
			v.damage = append(v.damage, line)
		}
	}
}

// isViolation reports whether a message is of a row that a constraint, or its
// column's type, does not allow: NOT NULL, CHECK, UNIQUE, STRICT.
func isViolation(message string) bool {
	for _, begins := range []string{
		"NULL value in ", "CHECK constraint failed in ", "non-unique entry in index ",
		"NUMERIC value in ", "TEXT value in ",
		"non-BLOB value in ", "non-INT value in ", "non-INTEGER value in ", "non-REAL value in ", "non-TEXT value in ",
	} {
		if strings.HasPrefix(message, begins) {
			return true
		}
	}
	return false
}

// err returns the verdict, damage first.
func (v *verdict) err() error {
	if slices.ContainsFunc(v.damage, tellsOfIO) {
		return failed("read "+v.subject+" to check it", fmt.Errorf("the disk failed: %s", v.damage[0]))
	}
	rules := make([]string, len(v.violations))
	for i, o := range v.violations {
		rules[i] = fmt.Sprintf("%s (%s)", o.rule, count(o.rows, "row"))
	}
	switch {
	case len(v.damage) > 0:
		text := v.subject + " is corrupt: " + some(v.damage, "line")
		if len(rules) > 0 {
			text += "; besides, rows break its own schema's rules: " + some(rules, "rule")
		}
		return bad(remedy(v.damage), "%s", text)
	case len(rules) > 0 && !v.skipConstraints:
		return &failure{
			text:  v.subject + " is not damaged, but has rows that break its own schema's rules: " + some(rules, "rule"),
			kinds: []error{ErrConstraint, ErrBadDatabase},
			hint:  "fix those rows, or push with --skip-constraint-check to keep them as they are",
		}
	}
	return nil
}

// some joins the first few lines.
func some(lines []string, what string) string {
	const most = 5
	text := strings.Join(lines[:min(len(lines), most)], "; ")
	if more := len(lines) - most; more > 0 {
		text += fmt.Sprintf("; and %s more", count(more, what))
	}
	return text
}

// sort classifies an error of SQLite's in a check.
func (v *verdict) sort(ctx context.Context, err error) error {
	if missing := v.missing(ctx, err); missing != nil {
		return missing
	}
	return badIfCorrupt(ctx, "check "+v.subject, v.subject+" is corrupt", err)
}

// missing says that the program's own functions, collations or modules would be
// needed; nil if err is not about those.
func (v *verdict) missing(ctx context.Context, err error) error {
	se, ok := errors.AsType[sqlite3.Error](err)
	if ctx.Err() != nil || !ok || !slices.ContainsFunc([]string{
		"no such function", "unknown function", "no such collation", "no such module", "unknown tokenizer", "no such tokenizer",
	}, func(words string) bool { return strings.Contains(se.Error(), words) }) {
		return nil
	}
	text := v.subject + " can't be checked: " + se.Error()
	if v.hook != nil {
		return &failure{text: text + ", and the program's connect hook, which may register it, failed", cause: v.hook, kinds: []error{ErrBadDatabase},
			hint: "let the hook run on a read-only database, or push with --skip-integrity-check"}
	}
	return bad("let the program register what its schema needs in a connect hook (driver.WithConnectHook), or push with --skip-integrity-check", "%s", text)
}

// tellsOfIO reports whether a line of integrity_check is about a page that could
// not be read, of which nothing else is known. It ends with SQLite's extended
// code: https://www.sqlite.org/rescode.html#ioerr.
func tellsOfIO(line string) bool {
	_, after, ok := strings.Cut(line, "error code=")
	code, err := strconv.Atoi(after)
	return ok && err == nil && code&0xff == int(sqlite3.ErrIoErr)
}

const (
	corruptHint = "copy the source again, or recover what is readable in it with: sqlite3 FILE .recover"
	indexHint   = "its tables are intact: rebuild its indexes with: sqlite3 FILE REINDEX"
	freeHint    = `the content of its tables is intact: make a clean copy with: sqlite3 FILE "VACUUM INTO 'sound.sqlite3'"`
)

// remedy suggests the least that fixes all of the damage.
func remedy(damage []string) string {
	only := func(kinds ...string) bool {
		return !slices.ContainsFunc(damage, func(line string) bool {
			return !slices.ContainsFunc(kinds, func(kind string) bool { return strings.Contains(line, kind) })
		})
	}
	switch {
	case only("missing from index ", "wrong # of entries in index ", " values differ from index ", "rowid not at end-of-record for row ", " stores an imprecise floating-point value"):
		return indexHint
	case only("Freelist: ", ": never used"):
		return freeHint
	}
	return corruptHint
}

// badIfCorrupt sorts SQLite's error: the database's fault, of which verdict
// speaks, or another's, that came up in doing this.
func badIfCorrupt(ctx context.Context, doing, verdict string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if se, ok := errors.AsType[sqlite3.Error](err); ok {
		switch se.Code {
		case sqlite3.ErrCorrupt, sqlite3.ErrNotADB, sqlite3.ErrFormat, sqlite3.ErrError:
			return &failure{text: verdict, cause: err, kinds: []error{ErrBadDatabase}, hint: corruptHint}
		}
	}
	return failed(doing, err)
}
