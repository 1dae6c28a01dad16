package sockserver

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// fileSystemOf names the file system that holds the file at path, of those
// that do not last; "" for the others.
func fileSystemOf(path string) string {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil && unix.Statfs(filepath.Dir(path), &st) != nil {
		return ""
	}
	switch int64(st.Type) {
	case unix.OVERLAYFS_SUPER_MAGIC:
		return fsOverlay
	case unix.TMPFS_MAGIC:
		return fsTmpfs
	case unix.RAMFS_MAGIC:
		return fsRamfs
	default:
		return ""
	}
}
