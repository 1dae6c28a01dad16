package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"hotswap/swapper"
)

// output is what a cp prints beside errors.
type output struct {
	*streams
	quiet, json bool
	terminal    bool     // stderr is one
	reportTo    *os.File // where the report goes: nil for stdout

	mu         sync.Mutex // guards stderr's line, written to by follower too
	inProgress bool       // the cursor is behind a progress line
}

// say prints a line on stderr.
func (o *output) say(format string, args ...any) {
	if o.quiet {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clearLocked()
	fmt.Fprintf(o.err, format+"\n", args...)
}

// progress prints over the last progress; on a terminal only.
func (o *output) progress(text string) {
	if o.quiet || !o.terminal {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clearLocked()
	o.inProgress = true
	fmt.Fprint(o.err, text)
}

// clear ends a progress line.
func (o *output) clear() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clearLocked()
}

func (o *output) clearLocked() {
	if o.inProgress {
		io.WriteString(o.err, "\r\x1b[K")
		o.inProgress = false
	}
}

// done prints what success looks like.
func (o *output) done(report swapper.Report) error {
	to := o.out
	if o.reportTo != nil {
		to = o.reportTo
	}
	var err error
	switch {
	case o.json:
		err = printJSON(to, report)
	case o.quiet || o.reportTo != nil: // stdout has the database
	default:
		_, err = to.WriteString("OK\n")
	}
	if err == nil {
		return nil
	}
	f := failf(exitFailed, "say that it is done: %w", err)
	f.note = "the copy is complete all the same"
	if report.Swapped {
		f.note = "the new database is live in " + report.Target + " all the same"
	}
	return f
}
