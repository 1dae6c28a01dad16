package disk

import "hotswap/internal/unix"

// unlimited is the free space of a file system that does not say how large it is.
const unlimited = 1 << 62

// Space returns the free bytes of dir's file system and how many of them are to stay
// free: a sixteenth of it, 64 MiB at most. One that does not say how large it is (ramfs,
// tmpfs without a limit, some on FUSE) reports no blocks, neither free nor used, and is
// not taken for full.
func Space(dir string) (free, headroom int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	if st.Blocks == 0 {
		return unlimited, 0, nil
	}
	block := int64(st.Bsize)
	return int64(st.Bavail) * block, min(int64(st.Blocks)*block/16, 64<<20), nil
}
