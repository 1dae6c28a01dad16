package swapper

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
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
	s.mode = fs.FileMode(st.Mode & 0o777)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		s.mode |= fs.ModeDir
	case unix.S_IFLNK:
		s.mode |= fs.ModeSymlink
	case unix.S_IFIFO:
		s.mode |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		s.mode |= fs.ModeSocket
	case unix.S_IFBLK:
		s.mode |= fs.ModeDevice
	case unix.S_IFCHR:
		s.mode |= fs.ModeDevice | fs.ModeCharDevice
	}
	return s, nil
}

// errNoXattr: the file has no such attribute.
const errNoXattr = unix.ENODATA
