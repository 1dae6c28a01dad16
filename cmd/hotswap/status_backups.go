package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"hotswap/internal/printable"
	"hotswap/swapper"
)

// databaseBackups is one database in `hotswap status --backups --json`.
type databaseBackups struct {
	Path    string           `json:"path"`
	Backups []swapper.Backup `json:"backups"`
}

// backups is what pushes have kept of the program's databases, or of the one.
func (c *statusCmd) backups(ctx context.Context, p *endpoint, only string) ([]byte, error) {
	list, err := p.client.Databases(ctx, only)
	if err != nil {
		return nil, err
	}
	all := make([]databaseBackups, len(list))
	for i, db := range list {
		all[i].Path = db.Path
		if all[i].Backups, err = p.client.Backups(ctx, db.Path, true); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	if c.JSON {
		err := printJSON(&b, all)
		return b.Bytes(), err
	}
	for i, db := range all {
		if i > 0 {
			b.WriteString("\n")
		}
		printBackups(&b, p, db)
	}
	return b.Bytes(), nil
}

// goBack is the command that takes a backup back, wherever the program runs.
func (p *endpoint) goBack(backup, live string) string {
	if p.far() {
		return p.link.backTo(backup, live)
	}
	return "hotswap cp --backup=existing " + shellWord(backup) + " " + shellWord(live)
}

// printBackups writes a line for each.
func printBackups(w io.Writer, p *endpoint, db databaseBackups) {
	fmt.Fprintln(w, printable.Line(db.Path))
	if len(db.Backups) == 0 {
		fmt.Fprintln(w, "  no backups: a push with --backup keeps what it replaces")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "  BACKUP\tREPLACED\tSIZE\tTAG\tGENERATION\tREPLACED BY")
	var total int64
	for _, b := range db.Backups {
		total += b.Size
		replaced, generation, tag, by := "-", "-", "-", "-"
		if !b.Replaced.IsZero() {
			replaced = b.Replaced.Local().Format(time.DateTime)
		}
		if b.Generation > 0 {
			generation = fmt.Sprint(b.Generation)
		}
		if b.Tag != "" {
			tag = b.Tag
		}
		if b.Source != "" {
			by = printable.Line(b.Source)
			if b.By != "" {
				by += ", " + printable.Line(b.By)
			}
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\n", printable.Line(filepath.Base(b.Path)), replaced, formatSize(&b.Size), tag, generation, by)
	}
	table.Flush()
	fmt.Fprintf(w, "  %s, %s; to go back to one, push it: %s\n", plural(len(db.Backups), "backup"), formatSize(&total),
		p.goBack(db.Backups[0].Path, db.Path))
}
