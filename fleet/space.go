package fleet

import (
	"errors"
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
		return fmt.Errorf("%w: %s has %s free; %s are needed and %s must stay free for the live database: "+makeRoom, swapper.ErrNoSpace,
			printable.Line(dir), printable.Size(free), printable.Size(n), printable.Size(stays))
	}
	return nil
}

const makeRoom = "make room on that disk"

// noRoom leaves out what a push or a pull that finds no room advises: that is for people who push.
func noRoom(err error) error {
	if e, ok := errors.AsType[*swapper.Error](err); ok && errors.Is(err, swapper.ErrNoSpace) {
		return fmt.Errorf("%w: "+makeRoom, e.Err)
	}
	return err
}
