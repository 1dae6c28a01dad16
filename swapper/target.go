package swapper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hotswap/internal/fileid"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/unix"
)

// target is the live database's file as a push found it.
type target struct {
	path   string
	dir    string
	exists bool
	state  fileState
	id     fileid.ID
	leads  func(path string) bool // whether the database's names still lead to the path
}

// empty reports whether there was no live database: no file, or one that was
// opened and never written to.
func (t *target) empty() bool { return !t.exists || t.state.size == 0 }

// checkDir refuses a directory that a stage can't be put into; why says what one
// is for.
func checkDir(dir, why string) error {
	err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err == nil {
		return nil
	}
	hint := "give the program's user the right to write there"
	if errors.Is(err, unix.EROFS) {
		hint = "remount " + mountOf(dir) + " for reading and writing"
	}
	return &failure{
		text:  "the directory " + dir + " can't be written to",
		cause: err,
		kinds: []error{ErrNotPermitted},
		hint:  why + ": " + hint,
	}
}

// inspect refuses what a rename can't replace without harm.
func inspect(path string) (*target, error) {
	t := &target{path: path, dir: filepath.Dir(path)}
	state, err := lookAt(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t, nil
	case err != nil:
		return nil, failed("look at the target", err)
	case !state.mode.IsRegular():
		return nil, &failure{text: fmt.Sprintf("the target is not a regular file (it is %s)", sqlitefile.KindOf(state.mode)), kinds: []error{ErrTarget},
			hint: "name a database file"}
	}
	if err := t.oneName(state); err != nil {
		return nil, err
	}
	if err := checkMountPoint(path); err != nil {
		return nil, err
	}
	// access(2): EPERM, unlike EACCES, is the immutable flag's. Not Faccessat with
	// AT_EACCESS, which takes EPERM for a system call that a sandbox forbids.
	if err := unix.Access(path, unix.W_OK); errors.Is(err, unix.EPERM) {
		return nil, &failure{text: "the target is marked immutable", cause: err, kinds: []error{ErrNotPermitted},
			hint: "take the mark off with: chattr -i " + path}
	}
	t.exists, t.state, t.id = true, state, fileid.Of(path)
	return t, nil
}

// oneName refuses a file that has other names.
func (t *target) oneName(state fileState) error {
	if state.nlink <= 1 {
		return nil
	}
	return &failure{
		text:  fmt.Sprintf("the target has %d hard links, and a rename would replace only this one of them", state.nlink),
		kinds: []error{ErrTarget},
		hint:  fmt.Sprintf("find the others with: find %s -xdev -inum %d", mountOf(t.dir), state.ino),
	}
}

// still refuses a file that is not the one that was inspected any more, or has got
// another name, and returns how it is now.
func (t *target) still() (fileState, error) {
	if t.leads != nil && !t.leads(t.path) {
		return fileState{}, &failure{text: "the live file was replaced by somebody else meanwhile: a symlink on its path was turned to another one",
			kinds: []error{ErrBusy}, hint: "see who did, and try again"}
	}
	state, err := lookAt(t.path)
	if err != nil {
		return state, failed("look at the live file", err)
	}
	return state, t.same(state)
}

// same refuses what is not the file that was inspected.
func (t *target) same(state fileState) error {
	if !state.is(t.state) {
		return errReplaced()
	}
	return nil
}

// errOvertaken: somebody else has put a file at the path.
var errOvertaken = errors.New("overtaken")

func errReplaced() error {
	return &failure{text: "the live file was replaced by somebody else meanwhile", kinds: []error{ErrBusy, errOvertaken}, hint: "see who did, and try again"}
}

// overtaken makes an error of a push, which somebody else has overtaken by putting
// another file at the path, say so: whatever step failed for that.
func (p *push) overtaken(err error) error {
	if err == nil || p.report.Swapped || p.target == nil || !p.target.exists {
		return err
	}
	if _, stillErr := p.target.still(); stillErr != nil && !errors.Is(err, errOvertaken) {
		return fmt.Errorf("%w (%w)", stillErr, err)
	}
	return err
}

// stillEmpty refuses what was written into a database whose schema was not
// compared, since it had none.
func (t *target) stillEmpty(size int64) error {
	if t.empty() && size > 0 {
		return &failure{text: "the live database was empty at first and is not any more", kinds: []error{ErrBusy}, hint: "try again"}
	}
	return nil
}

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

// syncDir makes the directory's entries durable.
func (p *push) syncDir() error {
	if err := p.dir.Sync(); err != nil {
		return fmt.Errorf("fsync the directory %s: %w", p.target.dir, err)
	}
	return nil
}
