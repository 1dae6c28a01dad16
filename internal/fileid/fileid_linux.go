package fileid

import (
	"encoding/binary"
	"hash/fnv"

	"golang.org/x/sys/unix"
)

// Of returns the ID of the file that path leads to, following symlinks, or None if
// there is none. It opens nothing.
func Of(path string) ID { return of(unix.AT_FDCWD, path, 0) }

// OfFD returns the ID of an open file.
func OfFD(fd uintptr) ID { return of(int(fd), "", unix.AT_EMPTY_PATH) }

func of(dir int, path string, flags int) ID {
	var st unix.Statx_t
	switch err := statx(dir, path, flags, &st); err {
	case nil:
	case unix.ENOSYS, unix.EPERM: // an old kernel, or a sandbox
		var old unix.Stat_t
		if unix.Fstatat(dir, path, &old, flags) != nil {
			return None
		}
		return ID{Dev: old.Dev, Ino: old.Ino}
	default:
		return None
	}
	id := ID{Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino}
	if st.Mask&unix.STATX_BTIME == 0 {
		return id // as on FUSE, whose handles are not stable
	}
	h := fnv.New64a()
	var birth [12]byte
	binary.LittleEndian.PutUint64(birth[:], uint64(st.Btime.Sec))
	binary.LittleEndian.PutUint32(birth[8:], st.Btime.Nsec)
	h.Write(birth[:])
	// On a file system that can be exported over NFS the handle has the inode's
	// generation (name_to_handle_at(2)). The time alone is not enough: a file system's
	// clock stands still for some milliseconds.
	if flags&unix.AT_EMPTY_PATH == 0 {
		flags |= unix.AT_SYMLINK_FOLLOW
	}
	if handle, _, err := unix.NameToHandleAt(dir, path, flags); err == nil {
		h.Write(handle.Bytes())
	}
	id.made = h.Sum64()
	return id
}

func statx(dir int, path string, flags int, st *unix.Statx_t) error {
	for {
		err := unix.Statx(dir, path, flags|unix.AT_STATX_SYNC_AS_STAT, unix.STATX_INO|unix.STATX_BTIME, st)
		if err != unix.EINTR {
			return err
		}
	}
}
