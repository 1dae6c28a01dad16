package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"hotswap/internal/printable"
	"hotswap/swapper"
)

// output is what a cp prints beside errors.
type output struct {
	*streams
	quiet, json bool
	dryRun      bool
	host        string    // DST's, with a colon, if it is on another machine
	far         *endpoint // DST's program, if it is on another machine
	id          string    // the command's, once the program is asked for it
	target      string    // the managed database to push to, once it is known
	live        *liveLine // nil: there is no progress to show
	current     transfer  // the one that goes through this command
	copying     transfer  // of the program's, for a snapshot; its bar is nil before
	report      *os.File  // where OK or the report goes: stderr if stdout takes the database
	announcing  sync.Once
	still       *stillness
	// pulled is the program's word that it has sent everything: until the destination
	// has taken that, it is not to be read as a success.
	pulled string
}

// say prints a line on stderr.
func (o *output) say(format string, args ...any) {
	print := func() { fmt.Fprintln(o.err, indent(fmt.Sprintf(format, args...))) }
	switch {
	case o.quiet:
	case o.live != nil:
		o.live.above(print)
	default:
		print()
	}
}

// announce says, once, what a push is about to do.
func (o *output) announce() {
	o.announcing.Do(func() {
		if o.dryRun {
			o.say("Checking database...")
		} else {
			o.say("Swapping database...")
		}
	})
}

// printsTag reports whether the tag of a pull is printed: only then is it asked for.
func (o *output) printsTag() bool { return o.json || !o.quiet && !o.dryRun }

// close ends what is shown on a terminal.
func (o *output) close() {
	if o.live != nil {
		o.live.close()
	}
}

// done prints what success looks like.
func (o *output) done(report swapper.Report) error {
	o.close()
	if report.Unchanged {
		o.say("The last push to %s had the same bytes, and nothing has been written since.", printable.Line(o.host+report.Target))
	}
	if report.Tag != "" && report.Method == "" && !report.DryRun { // of a pull
		o.say("The copy's tag is %s.", report.Tag)
	}
	if report.BackupPath != "" {
		if kept := printable.Line(report.BackupPath); o.far == nil {
			o.say("The replaced file is kept as %s.", kept)
		} else {
			o.say("The replaced file is kept on %s as %s; to go back to it: %s",
				o.far.link.to.host, kept, o.far.goBack(report.BackupPath, report.Target))
		}
	}
	var err error
	switch {
	case o.json:
		err = printJSON(o.report, reportOf(o.id, report))
	case o.quiet || o.report != o.out || o.closed[1]: // nothing to print, or nowhere
	case report.Unchanged:
		_, err = io.WriteString(o.out, "unchanged\n")
	default:
		_, err = io.WriteString(o.out, "OK\n")
	}
	if err == nil {
		return nil
	}
	f := failf(exitFailed, "write the result: %w", err)
	f.note = "the copy is complete nevertheless"
	if report.Swapped {
		f.note = "the new database is live in " + printable.Line(o.host+report.Target) + " nevertheless"
	}
	return f
}
