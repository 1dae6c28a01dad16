package swapper

import (
	"io/fs"
	"os"

	"hotswap/internal/openers"
	"hotswap/internal/unix"
)

// fileState is what one look at a file tells, without opening it.
type fileState struct {
	dev, ino uint64
	birth    int64 // in nanoseconds; 0 if the file system does not keep it
	mode     fs.FileMode
	uid, gid uint32
	nlink    uint64
	size     int64
}

func (s fileState) inode() openers.Inode { return openers.Inode{Dev: s.dev, Ino: s.ino} }

// is reports whether two looks were at the same file. The number of an inode that
// is gone may be given to another one, whose birth is later.
func (s fileState) is(o fileState) bool {
	return s.dev == o.dev && s.ino == o.ino && (s.birth == o.birth || s.birth == 0 || o.birth == 0)
}

// stateOf is what the portable calls tell.
func stateOf(info fs.FileInfo) (s fileState, err error) {
	st, ok := info.Sys().(*unix.FileStat)
	if !ok {
		return s, failed("read the inode of "+info.Name(), os.ErrInvalid)
	}
	return fileState{dev: uint64(st.Dev), ino: uint64(st.Ino), mode: info.Mode(), uid: st.Uid, gid: st.Gid, nlink: uint64(st.Nlink), size: info.Size()}, nil
}
