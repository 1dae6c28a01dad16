package swapper

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"hotswap/internal/sqlitefile"
)

// lookAt does not follow a link.
func lookAt(path string) (fileState, error) {
	s, err := statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // an old kernel, or a sandbox
		info, err := os.Lstat(path)
		if err != nil {
			return fileState{}, err
		}
		return stateOf(info)
	}
	if err != nil {
		return s, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	return s, nil
}

func lookThrough(f *os.File) (fileState, error) {
	s, err := statx(int(f.Fd()), "", unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		info, err := f.Stat()
		if err != nil {
			return fileState{}, err
		}
		return stateOf(info)
	}
	if err != nil {
		return s, &fs.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	return s, nil
}

func statx(at int, path string, flags int) (s fileState, err error) {
	var st unix.Statx_t
	for {
		err = unix.Statx(at, path, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return s, err
	}
	s = fileState{dev: unix.Mkdev(st.Dev_major, st.Dev_minor), ino: st.Ino, uid: st.Uid, gid: st.Gid, nlink: uint64(st.Nlink), size: int64(st.Size)}
	if st.Mask&unix.STATX_BTIME != 0 {
		s.birth = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	s.mode = sqlitefile.ModeOf(uint32(st.Mode))
	return s, nil
}
