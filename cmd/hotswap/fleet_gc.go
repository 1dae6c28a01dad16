package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"hotswap/internal/printable"
	"hotswap/internal/repository"
)

// fleetGCCmd is `hotswap fleet gc`.
type fleetGCCmd struct {
	engineFlags
	Keep    int    `required:"" placeholder:"N" help:"How many versions of each channel stay: the newest."`
	Channel string `placeholder:"NAME" help:"Remove versions of this channel only."`
	DryRun  bool   `short:"n" help:"Remove nothing, and say what would be removed."`
	JSON    bool   `name:"json" help:"Print what was removed, and what stays, as a JSON object."`
}

// Help is the text below the flags.
func (fleetGCCmd) Help() string {
	return `What an order, a rollout or a pin names stays, too, and of each version that stays it says why. As long as somebody publishes, versions are removed, but not their chunks: then the exit status is 75, and a later gc removes them. It may be interrupted, or killed: a version that it has not removed yet can be ordered, and then stays.` + "\n\n" + examples(
		"", "hotswap fleet gc --keep 5",
	)
}

// Run collects.
func (c *fleetGCCmd) Run(ctx context.Context, stdio *streams) error {
	if c.Keep < 1 {
		return usagef("--keep %d: at least one version of each channel stays", c.Keep)
	}
	r, e, err := c.repository(ctx, nil)
	if err != nil {
		return err
	}
	defer e.Close()
	done, err := r.GC(ctx, repository.GCOptions{Keep: c.Keep, Channel: c.Channel, DryRun: c.DryRun})
	if err != nil {
		return fleetFailure(err)
	}
	if c.JSON {
		err = printJSON(stdio.out, done)
	} else {
		_, err = fmt.Fprint(stdio.out, collected(done, c.DryRun))
	}
	if err == nil && len(done.Publishing) > 0 {
		return failf(exitTryAgain, "no chunk was removed: %s is being published", printable.Line(strings.Join(done.Publishing, ", "))).
			withHint("run gc again later")
	}
	return err
}

// shortList has enough of what may be hundreds of pins.
func shortList(all []string) string {
	const most = 4
	if more := len(all) - most; more > 1 {
		all = append(slices.Clone(all[:most]), fmt.Sprintf("and %d more", more))
	}
	return printable.Line(strings.Join(all, ", "))
}

// collected says what was removed, and what not.
func collected(done repository.Collected, dryRun bool) string {
	removed := "removed"
	if dryRun {
		removed = "would remove"
	}
	var b strings.Builder
	for _, v := range done.Retired {
		fmt.Fprintf(&b, "%s %s\n", removed, v)
	}
	for _, s := range done.Staying {
		fmt.Fprintf(&b, "%s stays: %s\n", s.Version, shortList(s.Why))
	}
	if len(done.Publishing) == 0 {
		fmt.Fprintf(&b, "%s %d chunks, %s; %d are left\n", removed, done.Chunks, printable.Size(int64(done.Bytes)), done.Kept)
	}
	return b.String()
}
