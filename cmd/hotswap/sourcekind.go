package main

import (
	"io/fs"
	"os"

	"github.com/mattn/go-isatty"
)

// refuseKind refuses what can be no database by what it is.
func refuseKind(arg string, mode fs.FileMode) error {
	switch {
	case mode.IsDir():
		return failf(exitFailed, "%s is a directory; name the database file in it", arg)
	case mode&fs.ModeSocket != 0:
		return failf(exitFailed, "%s is a socket, not a database", arg).
			withHint("name a database file; the program's own socket goes with --socket")
	default:
		return nil
	}
}

// refuseTerminal refuses a source that would have to be typed.
func refuseTerminal(arg string, file *os.File) error {
	if !isatty.IsTerminal(file.Fd()) {
		return nil
	}
	return usagef("%s is a terminal, not a database", arg).
		withHint("name a database file, or pipe one in: `zcat new.gz | hotswap cp - DST`")
}

// emptySource is the failure of a source with no byte in it.
func emptySource(name string, mode fs.FileMode) error {
	const none = "to have no rows in the live database, push one that has its tables and no rows"
	switch {
	case mode&fs.ModeCharDevice != 0:
		return failf(exitBadDatabase, "%s is a device with nothing in it: not a database", name).
			withHint("name a database file; %s", none)
	case mode.IsRegular():
		return failf(exitBadDatabase, "%s is an empty file: not a database", name).
			withHint("did the command that made it fail? And %s", none)
	default:
		return failf(exitBadDatabase, "%s is empty: it ended before its first byte", name).
			withHint("did the command that writes to it fail?")
	}
}
