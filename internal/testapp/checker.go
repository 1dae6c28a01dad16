package testapp

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Fault is the sort of a [Problem].
type Fault string

const (
	Lost      Fault = "lost"      // acknowledged, and in no file
	Doubled   Fault = "doubled"   // in two files, or twice in one
	Misplaced Fault = "misplaced" // in a file that was not live while the write ran
	Half      Fault = "half"      // a transaction of which only a part is there
	Unknown   Fault = "unknown"   // in a file, and nobody wrote it
	Mixed     Fault = "mixed"     // two generations in one read, or in one file
	Stale     Fault = "stale"     // a read of a generation that was not live while it ran
	Backwards Fault = "backwards" // a reader saw a generation older than the one before
)

// Problem is one thing that a swap did wrong.
type Problem struct {
	Fault Fault
	// Text names the write or the read, and the file.
	Text string
}

func (p Problem) String() string { return string(p.Fault) + ": " + p.Text }

// Verdict is what [Check] found.
type Verdict struct {
	Files    int
	Writes   int // acknowledged writes that were looked up
	Unacked  int // writes that failed, and so may be there or not
	Reads    int
	Problems []Problem
}

// Err is nil if there is no problem; else it names the first few.
func (v Verdict) Err() error {
	if len(v.Problems) == 0 {
		return nil
	}
	const most = 10
	var b strings.Builder
	fmt.Fprintf(&b, "%d problems in %d files, %d writes and %d reads", len(v.Problems), v.Files, v.Writes, v.Reads)
	for i, p := range v.Problems {
		if i == most {
			fmt.Fprintf(&b, "\n  and %d more", len(v.Problems)-most)
			break
		}
		b.WriteString("\n  " + p.String())
	}
	return errors.New(b.String())
}

// Count is how many problems are of a sort.
func (v Verdict) Count(f Fault) int {
	n := 0
	for _, p := range v.Problems {
		if p.Fault == f {
			n++
		}
	}
	return n
}

func (v *Verdict) add(f Fault, format string, args ...any) {
	v.Problems = append(v.Problems, Problem{f, fmt.Sprintf(format, args...)})
}

// Check compares the files that a database's path has held, in order, with
// what the callers were told. Nobody may have any of the files open.
//
// A pushed file starts with the rows of its base, which is nothing unless it
// was made from a pull, and never with what was written to the file that it
// replaces. So a file's own rows are those that its base lacks, and:
//
//   - an acknowledged write is among the own rows of exactly one file, and this
//     file was live at some time while the write ran: a write that a swap fell
//     into may be in either file, but not in both and not in none;
//   - a failed write is in one such file or in none;
//   - a base's rows are all still there;
//   - a transaction's rows are in the same file, all of them, once;
//   - each counter is its base plus the updates of that file;
//   - a file and a read hold one generation each, that of a file that was live
//     then, and a reader never goes back to an earlier one.
//
// The error is for what kept Check from checking; what it found is in the
// verdict.
func Check(ctx context.Context, files []File, h *History) (Verdict, error) {
	v := Verdict{Files: len(files)}
	all := make([]*contents, len(files))
	for i, f := range files {
		c, err := readContents(ctx, f)
		if err != nil {
			return v, fmt.Errorf("check generation %d: %w", f.Generation, err)
		}
		all[i] = c
		c.checkFile(&v)
	}
	writes := h.Writes()
	checkRows(&v, all, writes)
	checkCounters(&v, all, writes)
	checkReads(&v, files, h.Reads())
	return v, nil
}

// checkRows looks for the rows of each write.
func checkRows(v *Verdict, all []*contents, writes []Write) {
	holders := make(map[ID][]*contents)
	for _, c := range all {
		for id := range c.own {
			holders[id] = append(holders[id], c)
		}
	}
	known := make(map[ID]bool, len(writes))
	for _, w := range writes {
		if w.Acked {
			v.Writes++
		} else {
			v.Unacked++
		}
		if w.Kind == Counter {
			continue
		}
		known[w.ID] = true
		in := holders[w.ID]
		switch {
		case len(in) == 0 && w.Acked:
			v.add(Lost, "%s was acknowledged %s and is in no file", w, w.Span)
		case len(in) > 1:
			v.add(Doubled, "%s is in the files of generations %d and %d", w, in[0].file.Generation, in[1].file.Generation)
		case len(in) == 1 && !in[0].file.mayHold(w.Span):
			v.add(Misplaced, "%s ran %s and is in the file of generation %d, which was not live then",
				w, w.Span, in[0].file.Generation)
		}
	}
	for _, c := range all {
		for id := range c.own {
			if !known[id] {
				v.add(Unknown, "write %s is in the file of generation %d, and nobody wrote it", id, c.file.Generation)
			}
		}
	}
}

// checkCounters compares each file's counter with the updates that must and
// those that may have been made in it.
func checkCounters(v *Verdict, all []*contents, writes []Write) {
	for _, c := range all {
		must, may := 0, 0
		told := make(map[int64]Write)
		for _, w := range writes {
			if w.Kind != Counter || !c.file.mayHold(w.Span) {
				continue
			}
			if !w.Acked || candidates(all, w.Span) > 1 {
				may++
				continue
			}
			must++
			if w.Value > c.counter {
				v.add(Lost, "%s was told %d %s, and the counter is %d in the file of generation %d",
					w, w.Value, w.Span, c.counter, c.file.Generation)
			}
			if other, ok := told[w.Value]; ok {
				v.add(Lost, "%s and %s were both told %d in generation %d: one undid the other",
					other, w, w.Value, c.file.Generation)
			}
			told[w.Value] = w
		}
		switch grown := int(c.counter - c.baseCounter); {
		case grown < must:
			v.add(Lost, "%d counter updates were acknowledged in generation %d, and its counter grew by %d",
				must, c.file.Generation, grown)
		case grown > must+may:
			v.add(Doubled, "%d counter updates at most were made in generation %d, and its counter grew by %d",
				must+may, c.file.Generation, grown)
		}
	}
	for _, w := range writes {
		if w.Kind == Counter && candidates(all, w.Span) == 0 {
			v.add(Misplaced, "%s ran %s, when no file was live", w, w.Span)
		}
	}
}

func candidates(all []*contents, s Span) int {
	n := 0
	for _, c := range all {
		if c.file.mayHold(s) {
			n++
		}
	}
	return n
}

// checkReads follows each reader through the generations.
func checkReads(v *Verdict, files []File, reads []Read) {
	v.Reads = len(reads)
	last := make(map[string]uint64)
	for _, r := range reads {
		if r.Seen.Low != r.Seen.High && !severalCallsInPlace(files, r) {
			v.add(Mixed, "%s saw generations %d and %d at once", r, r.Seen.Low, r.Seen.High)
			continue
		}
		if r.Seen.Stamps != 0 && r.Seen.Stamps != stampRows {
			v.add(Mixed, "%s saw %d stamps of %d in generation %d", r, r.Seen.Stamps, stampRows, r.Seen.Low)
		}
		live := false
		for _, f := range files {
			live = live || f.Generation == r.Seen.Low && f.mayHold(r.Span)
		}
		if !live {
			v.add(Stale, "%s ran %s and saw generation %d, which was not live then", r, r.Span, r.Seen.Low)
		}
		if r.Seen.Low < last[r.Reader] {
			v.add(Backwards, "%s saw generation %d after generation %d", r, r.Seen.Low, last[r.Reader])
		}
		last[r.Reader] = r.Seen.High
	}
}

// severalCallsInPlace tells whether a read of several calls can have met a push
// in place between two of them: its open Rows go on with the old content.
func severalCallsInPlace(files []File, r Read) bool {
	if r.Call != CallNested || r.Seen.High != r.Seen.Low+1 {
		return false
	}
	for _, f := range files {
		if f.Generation == r.Seen.High {
			return f.InPlace && f.mayHold(r.Span)
		}
	}
	return false
}
