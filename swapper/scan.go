package swapper

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"strings"
	"sync"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/scan"
)

// scan does what integrity_check does in a fraction of its time, if it comes to the
// same: everything but the indexes is checked by quick_check, and those by scanning
// them and their tables, or, where a scan can't decide, by integrity_check of that one
// table. It reports whether the database is sound. If anything is wrong, or is not as
// expected, or so many tables are left that they take as long, that is for the whole of
// integrity_check to say, in SQLite's words; where it is known before, at once.
func (c *checkup) scan(ctx context.Context) (sound bool, err error) {
	if c.pragma == "quick_check" || c.verdict.messages > 0 {
		return false, nil
	}
	plan, err := scan.NewPlan(ctx, c.pool, plain(c.pool))
	if err != nil {
		return false, ctx.Err()
	}
	file, err := scan.Open(c.file)
	if err != nil {
		return false, nil
	}
	found, undecided, err := c.quickAndScan(ctx, plan, file)
	if err != nil || found {
		return false, ctx.Err()
	}
	for _, name := range undecided {
		if found, err := c.finds(ctx, `integrity_check("`+strings.ReplaceAll(name, `"`, `""`)+`")`); err != nil || found {
			return false, err
		}
	}
	return true, nil
}

// sideBySide reports whether two checks at a time leave a processor to the program.
func sideBySide() bool { return runtime.GOMAXPROCS(0) > 2 }

// quickAndScan does both, each on one processor.
func (c *checkup) quickAndScan(ctx context.Context, plan *scan.Plan, file *scan.File) (found bool, undecided []string, err error) {
	if !c.sideBySide {
		if found, err = c.finds(ctx, "quick_check"); err == nil && !found {
			undecided, err = plan.Undecided(ctx, file)
		}
		return found, undecided, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var scanned sync.WaitGroup
	var scanErr error
	scanned.Go(func() { undecided, scanErr = plan.Undecided(ctx, file) })
	if found, err = c.finds(ctx, "quick_check"); err != nil || found {
		cancel()
	}
	scanned.Wait()
	cancel()
	return found, undecided, errors.Join(err, scanErr)
}

// plain reports whether the pool's connection has only what SQLite comes with.
func plain(pool *sql.DB) bool {
	drv, ok := pool.Driver().(*sqlite3.SQLiteDriver)
	return ok && drv.ConnectHook == nil && len(drv.Extensions) == 0
}

// finds reports whether a check finds anything, which it forgets. The error is of ctx.
func (c *checkup) finds(ctx context.Context, pragma string) (found bool, err error) {
	err = c.look(ctx, pragma)
	found = err != nil || c.verdict.messages > 0
	c.verdict.forget()
	return found, ctx.Err()
}
