package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"hotswap/internal/printable"
	"hotswap/internal/repository"
	"hotswap/internal/trust"
)

// trustFlags say whose versions are accepted.
type trustFlags struct {
	Trust []string `placeholder:"KEY" help:"Accept only versions signed with this key, as hotswap fleet key prints it. May be repeated."`
}

func (f trustFlags) keys() (trust.Keys, error) { return parseKeys(f.Trust) }

func parseKeys(texts []string) (keys trust.Keys, err error) {
	for _, text := range texts {
		key, err := trust.Parse(text)
		if err != nil {
			return nil, usagef("--trust: %v", err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// fleetVersionsCmd is `hotswap fleet versions`.
type fleetVersionsCmd struct {
	engineFlags
	trustFlags
	Channel string `arg:"" help:"The database's name across the fleet."`
	JSON    bool   `name:"json" help:"Print a JSON array."`
}

// Help is the text below the flags.
func (fleetVersionsCmd) Help() string {
	return "Keys are shortened; --json has them whole. With --trust, versions that others have signed are refused.\n\n" +
		examples("", "hotswap fleet versions catalog")
}

// Run lists them, the newest last.
func (c *fleetVersionsCmd) Run(ctx context.Context, stdio *streams) error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	r, e, err := c.repository(ctx, keys)
	if err != nil {
		return err
	}
	defer e.Close()
	all, refused := r.Versions(ctx, c.Channel)
	if c.JSON {
		if all == nil {
			all = []repository.Published{}
		}
		err = printJSON(stdio.out, all)
	} else if len(all) > 0 {
		err = printVersions(stdio, all)
	}
	if err != nil {
		return err
	}
	if refused == nil && len(all) == 0 {
		return failf(exitFailed, "the channel %s has no versions", printable.Line(c.Channel)).
			withHint("publish one: `hotswap fleet publish FILE %s`", printable.Line(c.Channel))
	}
	return fleetFailure(refused)
}

// shortKey is enough of a key to tell it from a colleague's.
func shortKey(key string) string {
	const shown = len("ed25519:") + 8
	if len(key) <= shown {
		return key
	}
	return key[:shown] + "…"
}

func printVersions(stdio *streams, all []repository.Published) error {
	w := tabwriter.NewWriter(stdio.out, 0, 0, 2, ' ', 0)
	for _, p := range all {
		from, signed := "", "unsigned"
		if p.Parent > 0 {
			from = fmt.Sprintf("from %d", p.Parent)
		}
		if p.Key != "" {
			signed = printable.Line(shortKey(p.Key))
		}
		message := printable.Line(p.Message)
		if p.State == repository.Retiring {
			message = strings.TrimPrefix(message+"; about to be removed by a gc, or by one that was killed", "; ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.Version, printable.Size(p.Size), p.At.Local().Format(time.DateTime), from,
			printable.Line(p.Who+"@"+p.Host), signed, message)
	}
	return w.Flush()
}
