//go:build unix

package fileid

import "golang.org/x/sys/unix"

// Links returns the number of names that a file has which this process has open; 0 for
// one that was removed. ok is false if it is not found among the process's descriptors.
func Links(file ID) (n uint64, ok bool) {
	opened, listed := Opened()
	if !listed {
		opened = map[int]ID{}
		for fd := range 4096 {
			opened[fd] = OfFD(uintptr(fd))
		}
	}
	for fd, id := range opened {
		var st unix.Stat_t
		if id == file && file != None && unix.Fstat(fd, &st) == nil {
			return uint64(st.Nlink), true
		}
	}
	return 0, false
}
