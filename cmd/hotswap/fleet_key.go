package main

import (
	"errors"
	"fmt"
	"os"

	"hotswap/internal/trust"
)

// fleetKeyCmd is `hotswap fleet key`.
type fleetKeyCmd struct {
	File string `arg:"" help:"The private key's file, which must not be there yet."`
}

// Help is the text below the arguments.
func (fleetKeyCmd) Help() string {
	return `Writes the private key, for --key of hotswap fleet publish, rollout and the others that order, into the file, and prints the public one, for the trusted keys of nodes and for --trust.` + "\n\n" + examples(
		"", "hotswap fleet key publisher.pem",
	)
}

// Run makes them.
func (c *fleetKeyCmd) Run(stdio *streams) error {
	public, err := trust.Create(c.File)
	if errors.Is(err, os.ErrExist) {
		return failf(exitFailed, "%v", err).withHint("a key is never replaced: move it away, or name another file")
	}
	if err != nil {
		return fileFailure(err)
	}
	_, err = fmt.Fprintln(stdio.out, trust.Text(public))
	return err
}
