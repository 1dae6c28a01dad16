package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mattn/go-isatty"

	"hotswap/internal/engine"
	"hotswap/internal/fleetview"
	"hotswap/internal/printable"
	"hotswap/internal/rollout"
)

// fleetStatusCmd is `hotswap fleet status`.
type fleetStatusCmd struct {
	engineFlags
	Channel string   `arg:"" optional:"" help:"Only this channel."`
	JSON    bool     `name:"json" help:"Print a JSON object."`
	Watch   interval `short:"w" placeholder:"1s" help:"Refresh every second, or every INTERVAL with --watch=INTERVAL, until Ctrl-C."`
}

// Help is the text below the flags.
func (fleetStatusCmd) Help() string {
	return `A node that has not been heard from for ten seconds is silent. One that is silent, or has ended, is listed as long as it is in a wave or pinned, and for a week after it was there if the order means it.` + "\n\n" + examples(
		"", "hotswap fleet status catalog --watch",
		"the nodes that don't have what was rolled out", "hotswap fleet status --json | jq -r '.channels[] | .order.version as $v | .nodes[] | select(.have != $v) | .node'",
	)
}

// Run shows it.
func (c *fleetStatusCmd) Run(ctx context.Context, stdio *streams) error {
	if c.Channel != "" {
		if err := engine.CheckName("channel", c.Channel); err != nil {
			return fleetFailure(err)
		}
	}
	f, err := c.control(ctx, signFlags{})
	if err != nil {
		return err
	}
	defer f.close()
	width := 0
	if isatty.IsTerminal(stdio.out.Fd()) {
		width = columns(stdio.out)
	}
	if c.Watch == 0 {
		block, err := c.block(ctx, f, width)
		if err == nil {
			_, err = stdio.out.Write(block)
		}
		return err
	}
	return watching{"hotswap fleet status", time.Duration(c.Watch), c.JSON}.show(ctx, stdio, func() ([]byte, error) { return c.block(ctx, f, width) })
}

// block is one status, whose lines are wrapped to a width unless that is 0.
func (c *fleetStatusCmd) block(ctx context.Context, f *control, width int) ([]byte, error) {
	all, err := f.recs.Read(ctx)
	if err != nil {
		return nil, fleetFailure(err)
	}
	s := fleetview.Of(all, c.Channel)
	if c.Channel != "" && s.Channels[0].Order == nil && len(s.Channels[0].Nodes) == 0 {
		// Nobody has it: is it one at all?
		if versions, err := f.repo.Versions(ctx, c.Channel); err == nil && len(versions) == 0 {
			return nil, failf(exitFailed, "there is no channel %s: it has no versions, and no node has it", c.Channel).
				withHint("`hotswap fleet status` shows all channels")
		}
	}
	var b bytes.Buffer
	if c.JSON {
		err = printJSON(&b, s)
	} else {
		err = printFleet(&b, s, width)
	}
	return b.Bytes(), err
}

// printFleet writes it for people: in a terminal, whose width is not 0, wrapped; else with a
// line for each node.
func printFleet(w io.Writer, s fleetview.Fleet, width int) error {
	if len(s.Channels) == 0 {
		fmt.Fprintln(w, "No node answers, and nothing was rolled out.")
	}
	for i, c := range s.Channels {
		if i > 0 {
			fmt.Fprintln(w)
		}
		writeWrapped(w, "", "  ", indent(c.Headline()), width)
		if c.Progress != nil && c.Progress.Phase == rollout.Awaiting {
			fmt.Fprintf(w, "  (`hotswap fleet resume %s` approves it)\n", c.Channel)
		}
		var rows [][3]string
		var widest [3]int
		for _, n := range c.Nodes {
			row := [3]string{printable.Line(n.Node), n.Has(c.Channel), n.WaveText(c.Progress)}
			for j, cell := range row {
				widest[j] = max(widest[j], len(cell))
			}
			rows = append(rows, row)
		}
		for j, row := range rows {
			var front strings.Builder
			front.WriteString(" ")
			for k, cell := range row {
				if widest[k] > 0 {
					front.WriteString(fmt.Sprintf(" %-*s ", widest[k], cell))
				}
			}
			writeWrapped(w, front.String()+" ", strings.Repeat(" ", len(front.String())+1), indent(c.Nodes[j].State(c.Channel, c.Order)), width)
		}
		if len(c.Nodes) == 0 {
			fmt.Fprintln(w, "  no node answers")
		}
	}
	for _, text := range []string{s.WithoutController(), s.EngineClock()} {
		if text != "" {
			writeWrapped(w, "", "  ", text, width)
		}
	}
	return nil
}

// writeWrapped writes text behind front, and breaks it at spaces if it is wider than width;
// what follows a break is behind the indent.
func writeWrapped(w io.Writer, front, indent, text string, width int) {
	const narrow = 20 // columns, for which nobody breaks a text
	if room := width - len(front); room >= narrow {
		text = strings.Join(wrapWords(text, room), "\n"+indent)
	}
	fmt.Fprintln(w, front+text)
}
