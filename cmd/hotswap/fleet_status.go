package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/fleetview"
	"hotswap/internal/printable"
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
	return `A node that has not been heard for ten seconds is silent.` + "\n\n" + examples(
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
	if c.Watch == 0 {
		block, err := c.block(ctx, f)
		if err == nil {
			_, err = stdio.out.Write(block)
		}
		return err
	}
	return watching{"hotswap fleet status", time.Duration(c.Watch), c.JSON}.show(ctx, stdio, func() ([]byte, error) { return c.block(ctx, f) })
}

// block is one status.
func (c *fleetStatusCmd) block(ctx context.Context, f *control) ([]byte, error) {
	all, err := f.recs.Read(ctx)
	if err != nil {
		return nil, fleetFailure(err)
	}
	s := fleetview.Of(all, c.Channel)
	var b bytes.Buffer
	if c.JSON {
		err = printJSON(&b, s)
	} else {
		err = printFleet(&b, s)
	}
	return b.Bytes(), err
}

// printFleet writes it for people.
func printFleet(w io.Writer, s fleetview.Fleet) error {
	if len(s.Channels) == 0 {
		fmt.Fprintln(w, "No node answers, and nothing was rolled out.")
	}
	for i, c := range s.Channels {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, indent(c.Headline()))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, n := range c.Nodes {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", printable.Line(n.Node), n.Has(c.Channel), n.WaveText(c.Progress), indent(n.State(c.Order)))
		}
		if err := t.Flush(); err != nil {
			return err
		}
		if len(c.Nodes) == 0 {
			fmt.Fprintln(w, "  no node answers")
		}
	}
	if s.Controller == "" {
		fmt.Fprintln(w, "no node is the controller: nothing moves until one is")
	}
	return nil
}
