package main

import (
	"context"

	"hotswap/internal/fleetpage"
	"hotswap/sockserver"
)

// fleetUICmd is `hotswap fleet ui`.
type fleetUICmd struct {
	engineFlags
	signFlags
	Port         uint16 `placeholder:"PORT" help:"The port on 127.0.0.1; any free one by default."`
	AllowChanges bool   `help:"Let the page halt rollouts, and roll back. Without it the page shows."`
}

// Help is the text below the flags.
func (fleetUICmd) Help() string {
	return `Serves a page of the whole fleet on 127.0.0.1 until Ctrl-C, for whoever has its address, which has a secret in it: do not pass it on. A program that is of a fleet can show the same on its own page.` + "\n\n" + examples(
		"", "hotswap fleet ui --allow-changes --key operator.pem",
	)
}

// Run serves the page until the context ends.
func (c *fleetUICmd) Run(ctx context.Context, stdio *streams) error {
	f, err := c.control(ctx, c.signFlags)
	if err != nil {
		return err
	}
	defer f.close()
	return servePage(ctx, stdio, c.Port, sockserver.FleetHandler(sockserver.UI{AllowPush: c.AllowChanges, Fleet: fleetpage.New(f.desk(), f.recs.Read, whoami())}))
}
