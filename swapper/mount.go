package swapper

import (
	"errors"
	"os"
	"slices"
	"strings"

	"hotswap/internal/unix"
)

// checkReplaceable refuses a file that the kernel won't rename over: one that is itself
// mounted, as containers do with a single file, or marked immutable.
func checkReplaceable(path, what string) error {
	if slices.Contains(mountPoints(), path) {
		return &failure{
			text:  what + " is a mount point of its own, and can't be renamed over",
			kinds: []error{ErrTarget},
			hint:  "mount its directory instead of the file",
		}
	}
	// access(2): EPERM, unlike EACCES, is the immutable flag's. Not Faccessat with
	// AT_EACCESS, which takes EPERM for a system call that a sandbox forbids.
	if err := unix.Access(path, unix.W_OK); errors.Is(err, unix.EPERM) {
		return &failure{text: what + " is marked immutable", cause: err, kinds: []error{ErrNotPermitted},
			hint: "clear the mark with: chattr -i " + path}
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
