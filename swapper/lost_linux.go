package swapper

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// findUnlinked looks among the descriptors of this process for a file that was
// at path and has no name any more.
func findUnlinked(path string) (descriptor string, found bool) {
	names, _ := descriptors("/proc/self")
	for _, name := range names {
		// Of thousands few have no name; and a file that has one may be called so.
		var st unix.Stat_t
		if fd, err := strconv.Atoi(name); err != nil || unix.Fstat(fd, &st) != nil || st.Nlink > 0 {
			continue
		}
		if link, err := os.Readlink("/proc/self/fd/" + name); err == nil && link == path+" (deleted)" {
			return name, true
		}
	}
	return "", false
}
