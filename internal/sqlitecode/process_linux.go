package sqlitecode

import (
	"bufio"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

const (
	maxMaps    = 4 << 20   // bytes of a process's list of what it has mapped
	maxFiles   = 8         // that may be a library of SQLite, for a process
	maxSize    = 256 << 20 // of a file that is read
	maxEntries = 64        // of the cache
)

// Of returns which SQLite a process runs, if it can be told: this process may look at that
// one, and its code is in the program's own file or in one whose name says SQLite, and in
// no other version in another.
func Of(pid int) Version {
	proc := "/proc/" + strconv.Itoa(pid)
	var found Version
	for _, name := range append(libraries(proc), proc+"/exe") {
		v := inFile(name)
		switch {
		case v.Source == "":
		case found.Source == "" || found.Source == v.Source && found.Number == "":
			found = v
		case found.Source != v.Source:
			return Version{}
		}
	}
	return found
}

// libraries returns the files whose names say SQLite and whose code a process has mapped,
// as they are now at those names in that process's own tree of files.
func libraries(proc string) (names []string) {
	maps, err := os.Open(proc + "/maps")
	if err != nil {
		return nil
	}
	defer maps.Close()
	lines := bufio.NewScanner(io.LimitReader(maps, maxMaps))
	for lines.Scan() && len(names) < maxFiles {
		// address perms offset dev inode path: proc_pid_maps(5).
		fields := strings.Fields(lines.Text())
		if len(fields) != 6 || !strings.Contains(fields[1], "x") || !strings.Contains(strings.ToLower(path.Base(fields[5])), "sqlite") {
			continue
		}
		// Its device there is not always what stat says (btrfs, overlayfs).
		name := proc + "/root" + fields[5]
		var st unix.Stat_t
		if unix.Stat(name, &st) == nil && strconv.FormatUint(st.Ino, 10) == fields[4] {
			names = append(names, name)
		}
	}
	return names
}

// file is one as it was when it was read.
type file struct {
	dev, ino uint64
	size     int64
	modified unix.Timespec
}

var cache struct {
	sync.Mutex
	versions map[file]Version
}

// inFile returns the version of the SQLite in a file; the zero value if there is none, or
// more than one. It reads code only: a database is not mapped to be executed, and closing
// one would drop the locks that SQLite has on it in this process.
func inFile(name string) Version {
	var st unix.Stat_t
	if unix.Stat(name, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > maxSize {
		return Version{}
	}
	key := file{uint64(st.Dev), st.Ino, st.Size, st.Mtim}
	cache.Lock()
	v, ok := cache.versions[key]
	cache.Unlock()
	if ok {
		return v
	}
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return Version{}
	}
	defer f.Close()
	if unix.Fstat(int(f.Fd()), &st) != nil || (file{uint64(st.Dev), st.Ino, st.Size, st.Mtim}) != key {
		return Version{} // another one by now
	}
	if v, err = versionIn(io.LimitReader(f, maxSize)); err != nil {
		return Version{}
	}
	cache.Lock()
	defer cache.Unlock()
	if cache.versions == nil || len(cache.versions) >= maxEntries {
		cache.versions = map[file]Version{}
	}
	cache.versions[key] = v
	return v
}
