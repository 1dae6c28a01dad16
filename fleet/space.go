package fleet

import (
	"fmt"

	"hotswap/internal/disk"
	"hotswap/internal/printable"
	"hotswap/swapper"
)

// room demands that the file system of dir has n bytes, and keeps some for the live
// database, as a push does.
func room(dir string, n int64) error {
	free, stays, err := disk.Space(dir)
	if err != nil {
		return fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	if free-n < stays {
		return fmt.Errorf("%w: %s has %s free; %s are needed and %s must stay free for the live database", swapper.ErrNoSpace,
			printable.Line(dir), printable.Size(free), printable.Size(n), printable.Size(stays))
	}
	return nil
}
