package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"hotswap/driver"
	"hotswap/internal/printable"
	"hotswap/sockserver"
)

// longHold is how long a hold must last to be listed.
const longHold = time.Second

// statusCmd is `hotswap status`.
type statusCmd struct {
	where
	Backups bool     `help:"Show what pushes with --backup have kept, instead: each with its size, its tag, and when, by whom and with what it was replaced. All of them are read for that."`
	JSON    bool     `name:"json" help:"Print a JSON list; durations are in nanoseconds."`
	Watch   interval `short:"w" placeholder:"1s" help:"Refresh every second, or every INTERVAL with --watch=INTERVAL, until Ctrl-C."`
}

// Help is the text below the flags.
func (statusCmd) Help() string {
	return `Connections held for a second or more are listed with their query: a push would wait for them. ` +
		`A push goes in place while a process that is not a peer has the file open; peers use this driver, as the same user.` + "\n\n" + examples(
		"of a program elsewhere, and of one on another machine", "hotswap status /srv/app",
		"", "hotswap status prod:app",
		"in a terminal of its own, beside a push", "hotswap status --watch",
		"for a monitor", "hotswap status --json | jq '.[].stats.longest_pause_ns'",
	)
}

// Run shows each managed database.
func (c *statusCmd) Run(ctx context.Context, stdio *streams) (err error) {
	still := stdio.stillness()
	defer still.watch(ctx)()
	p, only, err := c.program(ctx, still)
	if err != nil {
		return err
	}
	defer func() { err = p.leave(err) }()
	if c.Backups && c.Watch != 0 {
		return usagef("--backups and --watch can't be used together")
	}
	if c.Watch != 0 {
		return c.watch(ctx, p, only, stdio, still)
	}
	block, err := c.block(ctx, p, only)
	if err != nil {
		return err
	}
	_, err = stdio.out.Write(block)
	return err
}

// block is one status.
func (c *statusCmd) block(ctx context.Context, p *endpoint, only string) ([]byte, error) {
	if c.Backups {
		return c.backups(ctx, p, only)
	}
	list, err := p.client.Databases(ctx, only)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if c.JSON {
		err = printJSON(&b, list)
	} else {
		printStatus(&b, list, time.Now())
	}
	return b.Bytes(), err
}

// watch shows the status until the context ends.
func (c *statusCmd) watch(ctx context.Context, p *endpoint, only string, stdio *streams, still *stillness) error {
	return watching{"hotswap status", time.Duration(c.Watch), c.JSON}.show(ctx, stdio, func() ([]byte, error) {
		defer still.moves.Add(1)
		return c.block(ctx, p, only)
	})
}

// whatIsManaged ends a message to somebody who has none.
const whatIsManaged = `a program manages every one that it opens with sql.Open("sqlite3-hotswap", ...), provided that its directory exists; ` +
	"GORM and some other libraries need a line of their own for it (docs/libraries.md)"

// printStatus writes a block of lines for each database.
func printStatus(w io.Writer, list []sockserver.DatabaseInfo, now time.Time) {
	if len(list) == 0 {
		fmt.Fprintf(w, "The program manages no database: %s.\n", whatIsManaged)
	}
	for i, db := range list {
		if i > 0 {
			io.WriteString(w, "\n")
		}
		fmt.Fprintln(w, printable.Line(db.Path))
		row := func(name, format string, args ...any) {
			fmt.Fprintf(w, "  %-12s %s\n", name, indent(fmt.Sprintf(format, args...)))
		}
		size := formatSize(db.Size)
		if db.WALSize > 0 {
			size += ", and " + formatSize(&db.WALSize) + " in its -wal"
		}
		row("size", "%s", size)
		if db.Open {
			if db.Size != nil {
				row("journal", "%s", journal(db))
			}
			printStats(row, db, now)
		} else {
			row("connections", "not open: managed because it matches Config.DatabasePaths")
		}
		for _, command := range db.Commands {
			row(command.Verb, "%s", underWay(command, now))
		}
		if db.LockedBy != nil {
			row("locked by", "%s", db.LockedBy)
		}
		for _, holder := range db.Holders {
			switch {
			case holder.For < longHold:
			case db.LockedBy != nil && holder.Kind == driver.HoldCall:
				row("waiting", "%s, maybe for that lock", holder)
			default:
				row("held by", "%s", holder)
			}
		}
		for _, peer := range db.Peers {
			row("peer", "%s", peerLine(peer))
			for _, holder := range peer.Holders {
				if holder.For >= longHold {
					row("held by", "%s", holder)
				}
			}
		}
		for _, opener := range db.OpenIn {
			if !slices.ContainsFunc(db.Peers, func(p driver.Peer) bool { return p.PID == opener.PID }) {
				row("open in", "%s", opener)
			}
		}
		for _, warning := range db.Warnings {
			row("warning", "%s", warning)
		}
	}
}

func printStats(row func(name, format string, args ...any), db sockserver.DatabaseInfo, now time.Time) {
	stats := db.Stats
	row("generation", "%d", stats.Generation)
	frozen := ""
	if stats.Frozen {
		frozen = "; frozen: swap in progress"
	}
	row("connections", "%d: %d busy, %d held; %s waiting%s", stats.Connections, stats.Busy, stats.Held,
		plural(stats.Waiting, "call"), frozen)
	if stats.OnSwap > 0 {
		row("OnSwap", "callbacks of the last swap have been running for %s; no swap can begin until they return", roundDuration(stats.OnSwap))
	}
	if stats.Swaps == 0 {
		row("last swap", "none yet")
		return
	}
	what := "; pause " + roundDuration(stats.LastPause).String()
	switch {
	case stats.LastExternal:
		what = ", to a file that something else put there (mv, say)" + what
	case stats.LastWritesOnly:
		what = ", in place; pause " + roundDuration(stats.LastPause).String() + " for writes, none for reads"
	}
	row("last swap", "%s ago, at %s%s", now.Sub(stats.LastSwap).Truncate(time.Second), stats.LastSwap.Local().Format(time.DateTime), what)
	longest, ofWrites := roundDuration(stats.LongestPause).String(), roundDuration(stats.LongestWritesPause).String()
	switch {
	case stats.LongestWritesPause <= stats.LongestPause:
	case stats.LongestPause == 0:
		longest = ofWrites + " for writes, none for reads"
	default:
		longest += ", for writes " + ofWrites
	}
	row("swaps", "%d, longest pause %s", stats.Swaps, longest)
}

// journal is the mode of a file's journal, or why it is not known.
func journal(db sockserver.DatabaseInfo) string {
	switch {
	case db.JournalMode != sockserver.JournalUnknown:
		return db.JournalMode
	case db.Stats.Frozen:
		return "not known while a swap has the connections closed"
	case *db.Size == 0:
		return "not known: the database has not been written to"
	default:
		return "not known: no connection of the program has the file open at the moment"
	}
}

// underWay describes a push or a pull that is under way.
func underWay(c sockserver.CommandInfo, now time.Time) string {
	line := "id " + c.ID
	switch {
	case c.Source != "":
		line += ", of " + printable.Line(c.Source)
	case c.Dest != "":
		line += ", to " + printable.Line(c.Dest)
	}
	if c.PID != 0 {
		line += fmt.Sprintf(", by process %d (%s)", c.PID, printable.Line(c.Command))
	}
	line += fmt.Sprintf(", for %s", max(now.Sub(c.Since), 0).Round(time.Second/10))
	if status, _, _ := strings.Cut(c.Status, "\n"); status != "" {
		line += ": " + printable.Line(status)
	}
	return line
}

// peerLine describes another process that takes part in swaps.
func peerLine(p driver.Peer) string {
	line := p.String()
	if s := p.Stats; s != nil {
		line += fmt.Sprintf(": %s: %d busy, %d held; %s waiting", plural(s.Connections, "connection"), s.Busy, s.Held, plural(s.Waiting, "call"))
	}
	if p.Problem != "" {
		line += "; takes no part in swaps: it " + printable.Line(p.Problem)
	}
	return line
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// formatSize shows a size in the unit that suits it.
func formatSize(size *int64) string {
	if size == nil {
		return "no file"
	}
	return printable.Size(*size)
}
