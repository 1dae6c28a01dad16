package main

import (
	"cmp"
	"context"
	"fmt"

	"hotswap/internal/printable"
	"hotswap/sockserver"
)

// versionCmd is `hotswap version`.
type versionCmd struct {
	where
	JSON bool `name:"json" help:"Print JSON."`
}

// Help is the text below the flags.
func (versionCmd) Help() string {
	return examples("which SQLite the program has", "hotswap version --json | jq -r .server.sqlite")
}

// versions is what `hotswap version --json` prints.
type versions struct {
	Client sockserver.VersionInfo  `json:"client"`
	Server *sockserver.VersionInfo `json:"server,omitempty"` // nil: not reached
}

// Run shows the versions. That no server is there is not an error here.
func (c *versionCmd) Run(ctx context.Context, stdio *streams) error {
	info := versions{Client: sockserver.BuildVersion()}
	still := stdio.stillness()
	defer still.watch(ctx)()
	var server sockserver.VersionInfo
	p, _, err := c.program(ctx, still)
	if err == nil {
		defer p.close()
		server, err = p.client.Version(ctx)
	}
	if err == nil {
		info.Server = &server
	}
	if c.JSON {
		return printJSON(stdio.out, info)
	}
	_, printErr := fmt.Fprintf(stdio.out, "hotswap %s\n", describeVersion(info.Client))
	if err != nil {
		fmt.Fprintf(stdio.err, "hotswap: the program's version: %s\n", indent(err.Error()))
		return printErr
	}
	_, err = fmt.Fprintf(stdio.out, "program %s, process %d\n", describeVersion(server), server.PID)
	return cmp.Or(printErr, err)
}

func describeVersion(v sockserver.VersionInfo) string {
	return printable.Line(fmt.Sprintf("%s, %s, SQLite %s", v.Version, v.Go, v.SQLite))
}
