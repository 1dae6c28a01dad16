package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/mattn/go-isatty"

	"hotswap/internal/engine"
	"hotswap/internal/printable"
	"hotswap/internal/records"
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
	screen := !c.JSON && isatty.IsTerminal(stdio.out.Fd())
	ticker := time.NewTicker(time.Duration(c.Watch))
	defer ticker.Stop()
	for first := true; ; first = false {
		block, err := c.block(ctx, f)
		switch {
		case ctx.Err() != nil:
			return nil // a watch has no other end
		case err != nil:
			return err
		case screen:
			block = redraw("hotswap fleet status", time.Duration(c.Watch), block, columns(stdio.out), first)
		case !first && !c.JSON:
			block = append([]byte("\n"), block...)
		}
		if _, err := stdio.out.Write(block); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// block is one status.
func (c *fleetStatusCmd) block(ctx context.Context, f *control) ([]byte, error) {
	all, err := f.recs.Read(ctx)
	if err != nil {
		return nil, fleetFailure(err)
	}
	s := fleetStatusOf(all, c.Channel)
	var b bytes.Buffer
	if c.JSON {
		err = printJSON(&b, s)
	} else {
		err = s.print(&b)
	}
	return b.Bytes(), err
}

// fleetStatus is what `hotswap fleet status --json` prints.
type fleetStatus struct {
	// Controller is the node that opens the waves.
	Controller string          `json:"controller,omitempty"`
	Channels   []channelStatus `json:"channels"`
}

type channelStatus struct {
	Channel  string            `json:"channel"`
	Order    *rollout.Order    `json:"order,omitempty"`
	Progress *rollout.Progress `json:"progress,omitempty"`
	Nodes    []nodeStatus      `json:"nodes"`
}

type nodeStatus struct {
	Node string `json:"node"`
	// Wave is the node's, from 1; 0 if it is in none.
	Wave   int  `json:"wave,omitempty"`
	Silent bool `json:"silent,omitempty"`
	records.Database
	Host   string            `json:"host,omitempty"`
	PID    int               `json:"pid,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Twin   string            `json:"twin,omitempty"`
	// ClockOff is how far the node's clock is from the engine's, if that is much.
	ClockOff time.Duration `json:"clock_off_ns,omitempty"`
}

// clockTolerance is how far a node's clock may be off before that is said.
const clockTolerance = 10 * time.Second

func fleetStatusOf(all *records.Everything, only string) fleetStatus {
	s := fleetStatus{Channels: []channelStatus{}}
	if all.Lease != nil {
		s.Controller = all.Lease.Node
	}
	names := map[string]bool{}
	for name := range all.Orders {
		names[name] = true
	}
	for _, n := range all.Nodes {
		for name := range n.Databases {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if only == "" || only == name {
			s.Channels = append(s.Channels, channelStatusOf(all, name))
		}
	}
	if only != "" && len(s.Channels) == 0 {
		s.Channels = append(s.Channels, channelStatus{Channel: only, Nodes: []nodeStatus{}})
	}
	return s
}

func channelStatusOf(all *records.Everything, channel string) channelStatus {
	c := channelStatus{Channel: channel, Nodes: []nodeStatus{}}
	waves := map[string]int{}
	if o, ok := all.Orders[channel]; ok {
		c.Order = &o
		if p, ok := all.Progress[channel]; ok && p.Of(o) {
			c.Progress = &p
			for i, wave := range p.Waves {
				for _, node := range wave {
					waves[node] = i + 1
				}
			}
		}
	}
	for node := range waves {
		if _, answers := all.Nodes[node]; !answers {
			c.Nodes = append(c.Nodes, nodeStatus{Node: node, Wave: waves[node], Silent: true})
		}
	}
	for _, n := range all.Nodes {
		if db, ok := n.Databases[channel]; ok {
			status := nodeStatus{Node: n.Node, Wave: waves[n.Node], Database: db, Host: n.Host, PID: n.PID, Labels: n.Labels, Twin: n.Twin}
			if off := n.Clock.Sub(n.At); off > clockTolerance || off < -clockTolerance {
				status.ClockOff = off
			}
			c.Nodes = append(c.Nodes, status)
		}
	}
	slices.SortFunc(c.Nodes, func(a, b nodeStatus) int { return bytes.Compare([]byte(a.Node), []byte(b.Node)) })
	return c
}

// print writes it for people.
func (s fleetStatus) print(w io.Writer) error {
	if len(s.Channels) == 0 {
		fmt.Fprintln(w, "No node answers, and nothing was rolled out.")
	}
	for i, c := range s.Channels {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, indent(c.headline()))
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, n := range c.Nodes {
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", printable.Line(n.Node), n.has(c.Channel), n.wave(c.Progress), indent(n.state(c.Order)))
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

func (c channelStatus) headline() string {
	if c.Order == nil {
		return c.Channel + ": nothing was rolled out yet"
	}
	o, text := *c.Order, ""
	switch {
	case c.Progress != nil:
		text = progressLine(o, *c.Progress)
	case o.Halted:
		text = fmt.Sprintf("%s@%d halted", o.Channel, o.Version)
	default:
		text = fmt.Sprintf("%s@%d ordered", o.Channel, o.Version)
	}
	if o.Kind == rollout.Rollback {
		text = "rollback to " + text
	}
	if o.Message != "" {
		text += " (" + o.Message + ")"
	}
	return text
}

func (n nodeStatus) has(channel string) string {
	switch {
	case n.Silent:
		return "?"
	case n.Have == 0:
		return "-"
	}
	return fmt.Sprintf("%s@%d", channel, n.Have)
}

func (n nodeStatus) wave(p *rollout.Progress) string {
	if n.Wave == 0 || p == nil {
		return ""
	}
	return fmt.Sprintf("wave %d", n.Wave)
}

// state says what the node is at.
func (n nodeStatus) state(o *rollout.Order) string {
	if n.Silent {
		return "silent"
	}
	text := string(n.Phase)
	switch {
	case n.Refused != nil && o != nil && n.Refused.Order == o.ID:
		text = "refused: " + n.Refused.Why
	case n.Failed != nil && (o == nil || n.Failed.Order == o.ID):
		text = "failed: " + n.Failed.Why
	case n.Phase == records.Fetching:
		text = fmt.Sprintf("fetching: %s of %s, %s travelled", printable.Size(n.Fetched), printable.Size(n.Size), printable.Size(n.Bytes))
	case n.Phase == records.Idle && n.Have != 0 && n.Healthy == n.Have:
		text = "in order"
	}
	if n.Error != "" && n.Failed == nil {
		text += "; tried again: " + n.Error
	}
	if n.Pinned != 0 {
		text += "; pinned"
	}
	if n.RefusedPin != "" {
		text += "; a pin is refused: " + n.RefusedPin
	}
	if n.Content != "" {
		text += "; " + n.Content
	}
	if !n.Swapped.IsZero() {
		text += fmt.Sprintf("; swapped in at %s, pause %s", n.Swapped.Local().Format(time.TimeOnly), roundDuration(n.Pause))
	}
	if n.Twin != "" {
		text += "; its name is taken by another program, too: " + n.Twin
	}
	if n.ClockOff != 0 {
		text += fmt.Sprintf("; its clock is off by %s", n.ClockOff.Round(time.Second))
	}
	return text
}
