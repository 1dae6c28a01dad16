package fileid

import (
	"os"
	"strconv"
)

// Opened returns the files that this process has open, by descriptor; ok is false where
// the system can't say (there is no /proc).
func Opened() (files map[int]ID, ok bool) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil, false
	}
	names, err := dir.Readdirnames(-1)
	dir.Close()
	if err != nil {
		return nil, false
	}
	files = make(map[int]ID, len(names))
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err == nil {
			if file := OfFD(uintptr(fd)); file != None {
				files[fd] = file
			}
		}
	}
	return files, true
}
