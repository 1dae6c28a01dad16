//go:build unix && !linux

package fileid

import "syscall"

// Of returns the ID of the file that path leads to, following symlinks, or None if
// there is none. It opens nothing.
func Of(path string) ID {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return None
	}
	return ID{Dev: uint64(st.Dev), Ino: uint64(st.Ino)}
}

// OfFD returns the ID of an open file.
func OfFD(fd uintptr) ID {
	var st syscall.Stat_t
	if syscall.Fstat(int(fd), &st) != nil {
		return None
	}
	return ID{Dev: uint64(st.Dev), Ino: uint64(st.Ino)}
}
