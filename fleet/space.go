package fleet

import (
	"fmt"

	"hotswap/internal/printable"
	"hotswap/internal/unix"
	"hotswap/swapper"
)

// room demands that the file system of dir has n bytes, and keeps some for the live
// database, as a push does.
func room(dir string, n int64) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("ask for the free space of %s: %w", dir, err)
	}
	block := int64(st.Bsize)
	free, stays := int64(st.Bavail)*block, min(int64(st.Blocks)*block/16, 64<<20)
	if free-n < stays {
		return fmt.Errorf("%w: %s has %s free; %s are needed and %s must stay free for the live database", swapper.ErrNoSpace,
			printable.Line(dir), printable.Size(free), printable.Size(n), printable.Size(stays))
	}
	return nil
}
