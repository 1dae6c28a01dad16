package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"hotswap/sockserver"
)

// statusCmd is `hotswap status`.
type statusCmd struct {
	sockets `embed:""`
	JSON    bool `name:"json" help:"Print a JSON list."`
}

// Run shows each managed database.
func (c *statusCmd) Run(ctx context.Context, stdio *streams) error {
	client := c.client()
	defer client.Close()
	list, err := client.Databases(ctx, "")
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(stdio.out, list)
	}
	return printStatus(stdio.out, list)
}

func printStatus(w io.Writer, list []sockserver.DatabaseInfo) error {
	if len(list) == 0 {
		_, err := io.WriteString(w, "The program manages no database: it manages one from sql.Open(\"sqlite3-hotswap\", ...) on.\n")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "DATABASE\tSIZE\tGENERATION\tSWAPS\tLAST PAUSE\tCONNECTIONS\tBUSY\tHELD\tWAITING")
	for _, db := range list {
		pause := "-"
		if db.Stats.Swaps > 0 {
			pause = roundDuration(db.Stats.LastPause).String()
		}
		if !db.Open {
			fmt.Fprintf(table, "%s\t%s\t-\t-\t-\tnot open\t-\t-\t-\n", db.Path, formatSize(db.Size))
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\t%d\t%d\t%d\t%d\n", db.Path, formatSize(db.Size),
			db.Stats.Generation, db.Stats.Swaps, pause,
			db.Stats.Connections, db.Stats.Busy, db.Stats.Held, db.Stats.Waiting)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, db := range list {
		if db.Stats.Frozen {
			fmt.Fprintf(w, "%s is frozen: a swap is on\n", db.Path)
		}
		for _, holder := range db.Holders {
			fmt.Fprintf(w, "%s: %s\n", db.Path, describeHolder(holder))
		}
	}
	return nil
}

// formatSize shows a size in the unit that suits it.
func formatSize(size *int64) string {
	if size == nil {
		return "no file"
	}
	value, units := float64(*size), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	for value >= 1024 && len(units) > 1 {
		value, units = value/1024, units[1:]
	}
	if units[0] == "B" {
		return fmt.Sprintf("%d B", *size)
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}
