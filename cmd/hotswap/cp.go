package main

import (
	"context"
	"time"

	"github.com/mattn/go-isatty"

	"hotswap/sockserver"
)

// cpCmd is `hotswap cp`.
type cpCmd struct {
	sockets `embed:""`

	SkipIntegrityCheck bool          `help:"Push without PRAGMA integrity_check; the length and the header are checked all the same."`
	SkipSchemaCheck    bool          `help:"Push a database whose schema differs from the live one's."`
	Quick              bool          `help:"Push with PRAGMA quick_check instead: faster, and blind to bad indexes."`
	Timeout            time.Duration `placeholder:"30s" help:"How long a push waits for transactions and open rows to end; by default as the program is set, else 30s."`
	MaxPause           time.Duration `placeholder:"1s" help:"The longest a single attempt of a push may hold up the program's calls; by default as the program is set, else 1s."`
	Force              bool          `help:"At the timeout of a push, interrupt what is still running and roll its transactions back."`
	Backup             bool          `short:"b" help:"Keep the replaced file beside the new one, as DST~."`
	DryRun             bool          `short:"n" help:"Check everything, replace nothing."`
	Quiet              bool          `short:"q" help:"Print nothing but errors."`
	JSON               bool          `name:"json" help:"Print a report as JSON instead of OK; on stderr where stdout takes the database."`

	Src string `arg:"" name:"SRC" help:"A file, a managed database, or - for standard input."`
	Dst string `arg:"" name:"DST" help:"A managed database, a file, a directory, or - for standard output."`
}

// Help is the text below the flags.
func (cpCmd) Help() string {
	return `One of SRC and DST must be a database that the running program manages; both may be. ` +
		`The word "database" stands for the program's only managed database, unless the working directory ` +
		`has a file of that name (./database is always the file). ` +
		`Files are opened by this command, in its working directory and with your rights; the program gets their bytes.`
}

// Run decides what the two sides are and copies one to the other.
func (c *cpCmd) Run(ctx context.Context, stdio *streams) error {
	if err := c.checkArguments(); err != nil {
		return err
	}
	client := c.client()
	defer client.Close()
	list, err := client.Databases(ctx, "")
	if err != nil {
		return err
	}
	src, dst, err := locateSides(c.Src, c.Dst, list)
	if err != nil {
		return err
	}
	out := &output{streams: stdio, quiet: c.Quiet, json: c.JSON, terminal: isatty.IsTerminal(stdio.err.Fd())}
	switch {
	case src.managed && dst.managed:
		return c.pushFromDatabase(ctx, client, src, dst, out)
	case dst.managed:
		return c.pushFromFile(ctx, client, src, dst, out)
	default:
		if err := c.checkPullFlags(); err != nil {
			return err
		}
		return c.pull(ctx, client, src, dst, out)
	}
}

func (c *cpCmd) checkArguments() error {
	switch {
	case c.Src == "" || c.Dst == "":
		return usagef("an empty file name")
	case c.Src == stdioName && c.Dst == stdioName:
		return usagef("- and -: one side must be a managed database").withHint("`hotswap status` lists them")
	case c.Timeout < 0 || c.MaxPause < 0:
		return usagef("--timeout and --max-pause can't be negative")
	case c.Quick && c.SkipIntegrityCheck:
		return usagef("--quick and --skip-integrity-check exclude each other")
	default:
		return nil
	}
}

// checkPullFlags refuses what only a push can heed, rather than ignoring it.
func (c *cpCmd) checkPullFlags() error {
	for flag, given := range map[string]bool{
		"--skip-integrity-check": c.SkipIntegrityCheck,
		"--skip-schema-check":    c.SkipSchemaCheck,
		"--quick":                c.Quick,
		"--timeout":              c.Timeout != 0,
		"--max-pause":            c.MaxPause != 0,
		"--force":                c.Force,
	} {
		if given {
			return usagef("%s is for a push, and %s is not a managed database", flag, c.Dst)
		}
	}
	return nil
}

func (c *cpCmd) pushParams(id, source string, size int64) sockserver.PushParams {
	return sockserver.PushParams{
		ID:                 id,
		Source:             source,
		Size:               size,
		SkipIntegrityCheck: c.SkipIntegrityCheck,
		SkipSchemaCheck:    c.SkipSchemaCheck,
		Quick:              c.Quick,
		Force:              c.Force,
		Backup:             c.Backup,
		DryRun:             c.DryRun,
		Digest:             c.JSON,
		Timeout:            c.Timeout,
		MaxPause:           c.MaxPause,
	}
}
