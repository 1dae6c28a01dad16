// Package memory says how much memory there is for the program: the machine's, or what
// its control groups leave it of that (a container's limit).
package memory

import (
	"bufio"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Available returns how many bytes of memory the program may use, 0 if nobody will say.
// It asks anew each time, since a limit can be changed while the program runs.
func Available() int64 {
	limit := groupLimit("/")
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return limit
	}
	return least(int64(uint64(info.Totalram)*uint64(info.Unit)), limit)
}

// least returns the lesser of two figures of which 0 is none.
func least(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// hierarchy is one of control groups: cgroups(7).
type hierarchy struct {
	root, at string // what is mounted of it, and where
	limits   []string
}

// The files that have a limit. Beyond memory.high a group is not killed but throttled, and
// so its limit as well.
var (
	version1 = []string{"memory.limit_in_bytes"}
	version2 = []string{"memory.max", "memory.high"}
)

// groupLimit returns the least limit of the process's control groups and of those above
// them, as far as they can be seen; 0 for none. The paths in /proc are below fsRoot.
func groupLimit(fsRoot string) (limit int64) {
	groups := lines(path.Join(fsRoot, "proc/self/cgroup"))
	mounts := lines(path.Join(fsRoot, "proc/self/mountinfo"))
	for _, line := range groups {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) != 3 {
			continue
		}
		var h hierarchy
		switch {
		case fields[0] == "0" && fields[1] == "":
			h = find(mounts, "cgroup2", "", version2)
		case slices.Contains(strings.Split(fields[1], ","), "memory"):
			h = find(mounts, "cgroup", "memory", version1)
		}
		if h.at != "" {
			limit = least(limit, h.limitOf(fsRoot, fields[2]))
		}
	}
	return limit
}

// find finds where a hierarchy is mounted.
func find(mounts []string, kind, option string, limits []string) hierarchy {
	for _, line := range mounts {
		mount, system, ok := strings.Cut(line, " - ")
		m, s := strings.Fields(mount), strings.Fields(system)
		if !ok || len(m) < 5 || len(s) < 3 || s[0] != kind || option != "" && !slices.Contains(strings.Split(s[2], ","), option) {
			continue
		}
		return hierarchy{root: unescape(m[3]), at: unescape(m[4]), limits: limits}
	}
	return hierarchy{}
}

// limitOf returns the least limit of a group and of those above it. What is mounted may be
// a container's part of the hierarchy, and the group may be named as seen from outside of
// it: then the part's own root is the container's group.
func (h hierarchy) limitOf(fsRoot, group string) (limit int64) {
	rest, within := strings.CutPrefix(group, strings.TrimSuffix(h.root, "/"))
	if !within || rest != "" && rest[0] != '/' {
		rest = ""
	}
	for dir := path.Join("/", rest); ; dir = path.Dir(dir) {
		for _, name := range h.limits {
			limit = least(limit, readLimit(path.Join(fsRoot, h.at, dir, name)))
		}
		if dir == "/" {
			return limit
		}
	}
}

// unlimited is what a limit of version 1 that nobody has set is no less than.
const unlimited = 1 << 60

// readLimit returns a limit, 0 for none.
func readLimit(name string) int64 {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil || n <= 0 || n >= unlimited { // "max"
		return 0
	}
	return n
}

func lines(name string) (all []string) {
	file, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		all = append(all, s.Text())
	}
	return all
}

// unescape undoes what the kernel does to spaces in mountinfo.
func unescape(field string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(field)
}
