package swapper

import (
	"os"
	"slices"
	"strings"
)

// checkMountPoint refuses a file that is itself mounted, as containers do with
// a single file: the kernel can't rename over it.
func checkMountPoint(path string) error {
	if slices.Contains(mountPoints(), path) {
		return &failure{
			text:  "the target is a mount point of its own, and can't be renamed over",
			kinds: []error{ErrTarget},
			hint:  "mount its directory instead of the file",
		}
	}
	return nil
}

// mountPoints reads /proc/self/mountinfo; none where there is no such file.
func mountPoints() []string {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	// Spaces and the like are octal escapes: proc_pid_mountinfo(5).
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var out []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 4 {
			out = append(out, unescape.Replace(f[4]))
		}
	}
	return out
}

// mountOf returns the mount point that dir is on, "/" if unknown.
func mountOf(dir string) string {
	best := "/"
	for _, m := range mountPoints() {
		if (dir == m || strings.HasPrefix(dir, strings.TrimSuffix(m, "/")+"/")) && len(m) > len(best) {
			best = m
		}
	}
	return best
}
