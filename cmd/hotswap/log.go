package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"

	"hotswap/internal/printable"
	"hotswap/sockserver"
	"hotswap/swapper"
)

// idPatience is how long a command that is not under way may take to begin.
const idPatience = 2 * time.Second

// logCmd is `hotswap log`.
type logCmd struct {
	where
	JSON bool   `name:"json" help:"Print each line as a JSON object, and progress too."`
	ID   string `name:"id" placeholder:"ID" help:"Only the lines of this push or pull, until it ends; cp prints its id when it starts. It must be in progress, or begin within two seconds."`
}

// Help is the text below the flags.
func (logCmd) Help() string {
	return `Shows what happens from now on, whoever started it. Ends with Ctrl-C, or with exit status 69 when the program goes away.` +
		"\n\n" + examples(
		"each push and pull, with the time and its id", "hotswap log",
		"those of a program on another machine", "hotswap log prod:app",
		"the pause of every swap", "hotswap log --json | jq 'select(.report.swapped) | .report.pause_ns'",
	)
}

// Run prints the status lines of every command, from now on.
func (c *logCmd) Run(ctx context.Context, stdio *streams) (err error) {
	still := stdio.stillness()
	stop := still.watch(ctx)
	p, only, err := c.program(ctx, still)
	if err != nil {
		stop()
		return err
	}
	defer func() { err = p.leave(err) }()
	client := p.client
	sub, err := client.Subscribe(ctx, c.ID)
	stop()
	if err != nil {
		return err
	}
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { sub.Close() })()
	var unknown atomic.Bool
	unheard := func() bool { return false } // ends the wait for a first line
	if c.ID != "" && !sub.UnderWay() {
		unheard = time.AfterFunc(idPatience, func() { unknown.Store(true); sub.Close() }).Stop
		defer unheard()
	}
	if isatty.IsTerminal(stdio.err.Fd()) {
		fmt.Fprintf(stdio.err, "hotswap: waiting for events on %s; Ctrl-C ends it\n", printable.Line(client.StderrSocketPath()))
	}
	for {
		line, err := sub.Next()
		switch {
		case ctx.Err() != nil:
			return nil // it has no other end
		case err != nil && unknown.Load():
			return failf(exitFailed, "no push or pull %q is in progress: it has ended, or there was none", c.ID).
				withHint("`hotswap log` shows each with its id, `hotswap status` how the last swap went")
		case err != nil:
			return failf(exitNoServer, "the program went away, and its status lines with it").
				withHint("start it again, then this command")
		}
		unheard()
		if only != "" && line.Path != only {
			continue
		}
		if err := c.print(stdio.out, line); err != nil {
			return err
		}
		if line.Last && c.ID != "" {
			return nil
		}
	}
}

func (c *logCmd) print(w io.Writer, line sockserver.Line) error {
	if c.JSON {
		return encodeJSON(w, line, "")
	}
	_, err := io.WriteString(w, formatLine(line))
	return err
}

// formatLine writes a line for people; of progress there is none.
func formatLine(line sockserver.Line) string {
	prefix := line.Time.Local().Format(time.TimeOnly) + " " + printable.Line(line.Command) + " "
	var b strings.Builder
	if line.Dropped > 0 {
		fmt.Fprintf(&b, "%s(%d lines dropped: this command was too slow)\n", prefix, line.Dropped)
	}
	switch line.Step {
	case swapper.StepReceiving, swapper.StepCopying, swapper.StepSending:
		return b.String()
	}
	text := line.Text
	if line.Problem != nil {
		text = "failed: " + text
	}
	for part := range strings.SplitSeq(printable.Lines(text), "\n") {
		fmt.Fprintf(&b, "%s%s\n", prefix, part)
	}
	return b.String()
}
