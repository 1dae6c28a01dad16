package main

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"os"
	"os/user"

	"github.com/cheggaaa/pb/v3"
	"github.com/mattn/go-isatty"

	"hotswap/internal/printable"
	"hotswap/internal/repository"
	"hotswap/internal/trust"
)

// fleetPublishCmd is `hotswap fleet publish`.
type fleetPublishCmd struct {
	engineFlags
	File    string `arg:"" help:"The database file."`
	Channel string `arg:"" help:"Its name across the fleet."`

	Message             string `short:"m" help:"What is new."`
	Key                 string `placeholder:"FILE" help:"Sign with this private key (see hotswap fleet key)."`
	SkipIntegrityCheck  bool   `help:"Publish without SQLite's integrity check."`
	SkipConstraintCheck bool   `help:"Accept rows that break a constraint of their own table."`
	Store               string `placeholder:"URL" help:"Keep what is written in this bucket (file://, s3://, azblob://) and not on the engine, as the next versions of the channel then do, too; engine ends that."`
	Anew                bool   `help:"Write all of it, also what is there already: that makes damaged chunks whole."`
	JSON                bool   `name:"json" help:"Print the version as a JSON object."`
	Quiet               bool   `short:"q" help:"Print only errors."`
}

// Help is the text below the flags.
func (fleetPublishCmd) Help() string {
	return `Takes a copy of the database, which a program may have open, checks it, and writes what the version before does not have. Nobody gets the version before a rollout says so. If it is killed, nothing of the version is to be seen.` + "\n\n" + examples(
		"", "hotswap fleet publish prices.sqlite3 catalog -m 'prices of May'",
		"into object storage", "hotswap fleet publish --store 's3://prices?region=eu-central-1' prices.sqlite3 catalog",
		"signed", "hotswap fleet publish --key publisher.pem prices.sqlite3 catalog",
	)
}

// Run publishes.
func (c *fleetPublishCmd) Run(ctx context.Context, stdio *streams) error {
	opts := repository.PublishOptions{Message: c.Message, Who: whoami(), SkipCheck: c.SkipIntegrityCheck,
		SkipConstraintCheck: c.SkipConstraintCheck, Anew: c.Anew, Objects: c.Store}
	opts.Host, _ = os.Hostname()
	var key ed25519.PrivateKey
	if c.Key != "" {
		var err error
		if key, err = trust.Read(c.Key); err != nil {
			return fileFailure(err)
		}
		opts.Key = key
	}
	r, e, err := c.repository(ctx, nil)
	if err != nil {
		return err
	}
	defer e.Close()
	bar := newBar(stdio, c.Quiet)
	opts.Progress = bar.reached
	p, err := r.Publish(ctx, c.Channel, c.File, opts)
	bar.finish()
	if err != nil {
		return fleetFailure(err)
	}
	if !c.Quiet {
		fmt.Fprintf(stdio.err, "published %s: %s, of which %s travelled\n", p.Version, printable.Size(p.Size), printable.Size(p.Sent.Bytes))
	}
	if c.JSON {
		return printJSON(stdio.out, struct {
			repository.Published
			Sent repository.Sent `json:"sent"`
		}{p.Published, p.Sent})
	}
	_, err = fmt.Fprintln(stdio.out, p.Version)
	return err
}

// whoami is the name of the user.
func whoami() string {
	u, err := user.Current()
	if err != nil {
		return os.Getenv("USER")
	}
	return cmp.Or(u.Username, u.Uid)
}

// bar is a progress bar on a terminal, and else nothing.
type bar struct{ *pb.ProgressBar }

func newBar(stdio *streams, quiet bool) bar {
	if quiet || !isatty.IsTerminal(stdio.err.Fd()) || os.Getenv("TERM") == "dumb" {
		return bar{}
	}
	return bar{pb.New64(0).SetWriter(stdio.err).Set(pb.Bytes, true).Set(pb.CleanOnFinish, true)}
}

func (b bar) reached(done, total int64) {
	if b.ProgressBar == nil {
		return
	}
	if !b.IsStarted() {
		b.Start()
	}
	b.SetTotal(total)
	if done > b.Current() {
		b.SetCurrent(done)
	}
}

func (b bar) finish() {
	if b.ProgressBar != nil && b.IsStarted() {
		b.Finish()
	}
}
