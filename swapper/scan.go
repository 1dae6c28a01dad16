package swapper

import (
	"context"
	"strings"

	"hotswap/driver"
	"hotswap/internal/scan"
)

// scan does what integrity_check does in a fraction of its time, if it comes to the
// same: everything but the indexes is checked by quick_check, and those by scanning
// them and their tables, or, where a scan can't decide, by integrity_check of that one
// table. It reports whether the database is sound. If anything is wrong, or is not as
// expected, that is for the whole of integrity_check to say, in SQLite's words.
func (c *checkup) scan(ctx context.Context) (sound bool, err error) {
	if c.pragma == "quick_check" || c.verdict.messages > 0 {
		return false, nil
	}
	conn, err := c.pool.Conn(ctx)
	if err != nil {
		return false, c.verdict.sort(ctx, err)
	}
	err = driver.Raw(conn, scan.Register)
	conn.Close()
	if err != nil {
		return false, nil
	}
	tables, err := scan.List(ctx, c.pool)
	if err != nil || !tables.Decidable() {
		return false, ctx.Err()
	}
	if found, err := c.finds(ctx, "quick_check"); err != nil || found {
		return false, err
	}
	undecided, err := tables.Undecided(ctx, c.pool)
	if err != nil {
		return false, ctx.Err()
	}
	for _, name := range undecided {
		if found, err := c.finds(ctx, `integrity_check("`+strings.ReplaceAll(name, `"`, `""`)+`")`); err != nil || found {
			return false, err
		}
	}
	return true, nil
}

// finds reports whether a check finds anything, which it forgets. The error is of ctx.
func (c *checkup) finds(ctx context.Context, pragma string) (found bool, err error) {
	err = c.look(ctx, pragma)
	found = err != nil || c.verdict.messages > 0
	c.verdict.forget()
	return found, ctx.Err()
}
