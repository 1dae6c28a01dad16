package sqlitefile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Sidecars are the suffixes of the files beside a database file that belong to it.
var Sidecars = [...]string{"-journal", "-wal", "-shm"}

// logs are those sidecars that may have content which the file lacks, or must lose.
var logs = [...]string{"-wal", "-journal"}

// Pending returns the suffix of a sidecar that may have content of the database at
// path, "-wal" or "-journal"; "" if there is none.
func Pending(path string) (suffix string, err error) {
	for _, suffix := range logs {
		info, err := os.Stat(path + suffix)
		if err == nil && info.Size() > 0 {
			return suffix, nil
		}
		if err != nil && !Absent(err) {
			return "", err
		}
	}
	return "", nil
}

// RemoveSidecars removes what is beside a database file that is about to be replaced, and
// reports whether there was something: then the directory is to be synced before another
// file gets the name, or a power loss could bring a log back beside that.
func RemoveSidecars(path string) (removed bool, err error) {
	for _, suffix := range Sidecars {
		err := os.Remove(path + suffix)
		if err != nil && !Absent(err) {
			return removed, err
		}
		removed = removed || err == nil
	}
	return removed, nil
}

// LeftBeside returns the name of a sidecar at path that may be of use to a process that
// still has a removed database open; "" if there is none. An empty log is of none, nor is
// a journal without a header: that is how journal modes such as PERSIST leave theirs.
func LeftBeside(path string) (name string) {
	for _, suffix := range Sidecars {
		info, err := os.Lstat(path + suffix)
		if err != nil || info.Size() == 0 || suffix == "-journal" && !hasHeader(path+suffix) {
			continue
		}
		return path + suffix
	}
	return ""
}

func hasHeader(journal string) bool {
	f, err := os.Open(journal)
	if err != nil {
		return true
	}
	defer f.Close()
	var head [1]byte
	_, err = f.Read(head[:])
	return err != nil || head[0] != 0
}

// PendingSize returns how many bytes the sidecars that Pending looks for have.
func PendingSize(path string) (n int64) {
	for _, suffix := range logs {
		n += size(path + suffix)
	}
	return n
}

// WALSize returns the size of the WAL of the database at path in bytes, 0 if it has
// none.
func WALSize(path string) int64 { return size(path + "-wal") }

func size(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// Absent reports whether err says that there is no such file, or can't be one: a
// sidecar's name may be too long.
func Absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENAMETOOLONG)
}
