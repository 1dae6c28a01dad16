package pathwatch_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/dbpath"
	"hotswap/internal/fileid"
	"hotswap/internal/pathwatch"
	"hotswap/internal/testenv"
)

// place is a file below some directories, reached by a name with symlinks, and another.
type place struct {
	t                    *testing.T
	dir, name, file, new string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &place{t: t, dir: dir, name: dir + "/current/live", file: dir + "/1/data/live", new: dir + "/new"}
	for _, release := range []string{"/1", "/2"} {
		p.must(os.MkdirAll(dir+release+"/data", 0o700))
		p.must(os.WriteFile(dir+release+"/data/live", nil, 0o600))
	}
	p.must(os.WriteFile(p.new, nil, 0o600))
	p.must(os.Symlink("1/data", dir+"/current"))
	return p
}

func (p *place) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// watch returns a channel that is closed at a change.
func (p *place) watch() (changed chan struct{}, w *pathwatch.Watch) {
	p.t.Helper()
	real, links, err := dbpath.Links(p.name)
	p.must(err)
	changed = make(chan struct{})
	w, err = pathwatch.New(real, links, fileid.Of(real), func(*pathwatch.Watch) { close(changed) })
	p.must(err)
	p.t.Cleanup(w.Stop)
	return changed, w
}

var replacements = map[string]func(p *place){
	"mv": func(p *place) { p.must(os.Rename(p.new, p.file)) },
	"exchanged": func(p *place) {
		p.must(unix.Renameat2(unix.AT_FDCWD, p.new, unix.AT_FDCWD, p.file, unix.RENAME_EXCHANGE))
	},
	"removed": func(p *place) { p.must(os.Remove(p.file)) },
	"removed and written": func(p *place) {
		p.must(os.Remove(p.file))
		p.must(os.WriteFile(p.file, nil, 0o600))
	},
	"moved away": func(p *place) { p.must(os.Rename(p.file, p.file+".old")) },
	"its directory renamed": func(p *place) {
		p.must(os.Rename(p.dir+"/1/data", p.dir+"/1/old"))
		p.must(os.Rename(p.dir+"/2/data", p.dir+"/1/data"))
	},
	"its directory exchanged": func(p *place) {
		p.must(unix.Renameat2(unix.AT_FDCWD, p.dir+"/1/data", unix.AT_FDCWD, p.dir+"/2/data", unix.RENAME_EXCHANGE))
	},
	"a directory further up renamed": func(p *place) {
		p.must(os.Rename(p.dir+"/1", p.dir+"/old"))
		p.must(os.Rename(p.dir+"/2", p.dir+"/1"))
	},
	"its directory made anew, with the same file": func(p *place) { // what happens there is not told yet
		p.must(os.Rename(p.dir+"/1/data", p.dir+"/1/old"))
		p.must(os.Mkdir(p.dir+"/1/data", 0o700))
		p.must(os.Link(p.dir+"/1/old/live", p.file))
	},
	"its directory removed": func(p *place) { p.must(os.RemoveAll(p.dir + "/1")) },
	"a symlink switched": func(p *place) {
		p.must(os.Symlink("2/data", p.dir+"/next"))
		p.must(os.Rename(p.dir+"/next", p.dir+"/current"))
	},
	"a symlink made anew": func(p *place) {
		p.must(os.Remove(p.dir + "/current"))
		p.must(os.Symlink("2/data", p.dir+"/current"))
	},
}

func TestWhateverReplacesAFileIsSeen(t *testing.T) {
	t.Parallel()
	for name, replace := range replacements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			changed, w := p.watch()
			replace(p)
			awaitChange(t, changed)
			if !w.Ended() {
				t.Error("the watch has not ended")
			}
		})
	}
}

func awaitChange(t *testing.T, changed chan struct{}) {
	t.Helper()
	select {
	case <-changed:
	case <-time.After(6 * pathwatch.Every):
		t.Error("it is not seen")
	}
}

// TestAMountIsSeen also on the file itself, and that it ends.
func TestAMountIsSeen(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Skip(t, "mounts take root")
	}
	t.Parallel()
	if !testenv.Alone(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Unshareflags: syscall.CLONE_NEWNS}) {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	for _, over := range []string{"/1/data/live", "/1/data", "/1"} {
		p := newPlace(t)
		over := p.dir + over
		from := filepath.Join(p.dir, "2", over[len(p.dir+"/1"):])
		changed, _ := p.watch()
		if err := unix.Mount(from, over, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		awaitChange(t, changed)
		changed, w := p.watch()
		elsewhere := t.TempDir()
		if err := unix.Mount(elsewhere, elsewhere, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		if err := unix.Unmount(over, 0); err != nil {
			t.Fatal(err)
		}
		awaitChange(t, changed)
		if err := unix.Unmount(elsewhere, 0); err != nil {
			t.Fatal(err)
		}
		w.Stop()
	}
}

// TestManyEventsAtOnceAreNotLost: the kernel keeps only so many. It runs by itself, since what
// is unclear elsewhere has this looked at, too.
func TestManyEventsAtOnceAreNotLost(t *testing.T) {
	p := newPlace(t)
	changed, _ := p.watch()
	text, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	p.must(err)
	most, err := strconv.Atoi(string(text[:len(text)-1]))
	p.must(err)
	data := filepath.Dir(p.file)
	a, b := data+"/a", data+"/b"
	p.must(os.WriteFile(a, nil, 0o600))
	for range most/2 + 100 { // two events each
		p.must(os.Rename(a, b))
		a, b = b, a
	}
	p.must(os.Rename(p.new, p.file))
	awaitChange(t, changed)
}

// TestWhatLeavesThePathAsItIsIsNoChange, whatever else is seen.
func TestWhatLeavesThePathAsItIsIsNoChange(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	changed, w := p.watch()
	p.must(os.WriteFile(p.file+"-journal", nil, 0o600))
	p.must(os.Remove(p.file + "-journal"))
	p.must(os.WriteFile(p.file, []byte("more"), 0o600))
	p.must(os.Rename(p.dir+"/1", p.dir+"/moment"))
	p.must(os.Rename(p.dir+"/moment", p.dir+"/1"))
	later := newPlace(t) // whose change is seen after that
	other, _ := later.watch()
	p.must(os.Rename(later.new, later.file))
	awaitChange(t, other)
	select {
	case <-changed:
		t.Error("the path leads elsewhere")
	default:
	}
	if w.Ended() {
		t.Error("the watch has ended")
	}
	p.must(os.Rename(p.new, p.file)) // and it goes on
	awaitChange(t, changed)
}

func TestAPathThatCannotBeWatchedIsRefused(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	never := func(*pathwatch.Watch) { t.Error("told") }
	if _, err := pathwatch.New(p.file, nil, fileid.Of(p.new), never); !errors.Is(err, pathwatch.ErrChanged) {
		t.Errorf("another file is there: %v", err)
	}
	if _, err := pathwatch.New("/proc/version", nil, fileid.Of("/proc/version"), never); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("on a file system of another kind: %v", err)
	}
	if _, err := pathwatch.New(p.dir+"/none/live", nil, fileid.None, never); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory is there: %v", err)
	}
}
