package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"hotswap/internal/backups"
	"hotswap/internal/printable"
	"hotswap/internal/repository"
)

// fleetFetchCmd is `hotswap fleet fetch`.
type fleetFetchCmd struct {
	engineFlags
	trustFlags
	Version string `arg:"" help:"The version, such as catalog@7; catalog alone is the newest."`
	File    string `arg:"" help:"The file that it becomes. If it is there, what it has of the version is not fetched."`
	Quiet   bool   `short:"q" help:"Print only errors."`
}

// Help is the text below the flags.
func (fleetFetchCmd) Help() string {
	return `The file is replaced when all of the version is there, verified, and on the disk. A database that a program has open is not replaced: push to it (hotswap cp).` + "\n\n" + examples(
		"", "hotswap fleet fetch catalog@7 catalog.sqlite3",
	)
}

// Run fetches the version beside the file, and renames it.
func (c *fleetFetchCmd) Run(ctx context.Context, stdio *streams) error {
	keys, err := c.keys()
	if err != nil {
		return err
	}
	r, e, err := c.repository(ctx, keys)
	if err != nil {
		return err
	}
	defer e.Close()
	p, err := find(ctx, r, c.Version)
	if err != nil {
		return fleetFailure(err)
	}
	d, err := newFetched(c.File)
	if err != nil {
		return err
	}
	defer d.abort()
	have, closeHave, err := d.have()
	if err != nil {
		return fileFailure(err)
	}
	defer closeHave()
	bar := newBar(stdio, c.Quiet)
	var got repository.Fetched
	err = r.Fetch(ctx, p, d.File, have, func(f repository.Fetched) {
		bar.reached(f.Done, f.Total)
		got = f
	})
	bar.finish()
	if err != nil {
		return fleetFailure(err)
	}
	if _, err := d.commit(); err != nil {
		return err
	}
	if !c.Quiet {
		fmt.Fprintf(stdio.err, "fetched %s into %s: %s, of which %s travelled\n", p.Version, printable.Line(c.File), printable.Size(p.Size), printable.Size(got.Bytes))
	}
	return nil
}

// find returns the version of that name, or the newest of a channel.
func find(ctx context.Context, r *repository.Repository, name string) (p repository.Published, err error) {
	if strings.Contains(name, "@") {
		v, err := repository.ParseVersion(name)
		if err != nil {
			return p, err
		}
		return r.Manifest(ctx, v)
	}
	all, err := r.Versions(ctx, name)
	if len(all) == 0 {
		return p, cmp.Or(err, error(failf(exitFailed, "the channel %s has no versions", printable.Line(name))))
	}
	return all[len(all)-1], nil
}

// newFetched begins a file that is to replace, or to become, the one of that name.
func newFetched(arg string) (*fileDestination, error) {
	path, err := realName(arg)
	if err != nil {
		return nil, fileFailure(fmt.Errorf("find the destination: %w", err))
	}
	d := &fileDestination{arg: arg, path: path, backup: backups.None}
	old, err := os.Stat(path)
	switch {
	case err == nil && !old.Mode().IsRegular():
		return nil, failf(exitFailed, "%s is not a regular file", arg)
	case err == nil:
		d.old = old
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fileFailure(err)
	}
	if err := d.refuseToBeSidecar(); err != nil {
		return nil, err
	}
	if err := cmp.Or(d.refuseSidecars(), d.refuseOpened()); err != nil {
		return nil, err
	}
	if d.File, err = createBeside(path, 0o644); err != nil {
		return nil, fileFailure(fmt.Errorf("write beside %s: %w", arg, err))
	}
	return d, nil
}

// have is the file that is there now, if it has anything.
func (d *fileDestination) have() (have []repository.Local, closeAll func(), err error) {
	if d.old == nil || d.old.Size() == 0 {
		return nil, func() {}, nil
	}
	f, err := os.Open(d.path)
	if err != nil {
		return nil, nil, err
	}
	return []repository.Local{{File: f, Size: d.old.Size()}}, func() { f.Close() }, nil
}
