package sockserver

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

func TestFileThatChangesWhileItIsCopiedIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]struct {
		to   func(*os.File) error
		want error
	}{
		"shorter":       {func(f *os.File) error { return f.Truncate(4096) }, swapper.ErrBadDatabase},
		"longer":        {func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 1<<20); return err }, swapper.ErrBusy},
		"of its length": {func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 4096); return err }, swapper.ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			live := openDatabase(t, dir+"/db", 1)
			makeDatabase(t, dir+"/new", 1000)
			var pushed error
			s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, func(a *api) {
				a.push = func(ctx context.Context, db *driver.Database, src io.Reader, opts swapper.PushOptions) (report swapper.Report, err error) {
					report, pushed = swapper.Push(ctx, db, changing{src.(transfer.FileSource), func() {
						must(t, change.to(openFile(t, dir+"/new", os.O_RDWR)))
					}}, opts)
					return report, pushed
				}
			})
			_, err := newTestClient(t, s).Push(t.Context(), TheDatabase, openFile(t, dir+"/new", os.O_RDONLY), PushParams{})
			var p *Problem
			if !errors.As(err, &p) || !errors.Is(pushed, change.want) {
				t.Fatalf("got %v, of %v", err, pushed)
			}
			if n := rowsIn(t, live); n != 1 {
				t.Errorf("%d rows are live", n)
			}
		})
	}
}

// changing is a source that changes between two pieces of copying.
type changing struct {
	transfer.FileSource
	change func()
}

func (c changing) CloneTo(context.Context, *os.File) (bool, error) { return false, nil }

func (c changing) CopyTo(ctx context.Context, dst *os.File, off, n int64) (int64, error) {
	if off == 0 {
		done, err := c.FileSource.CopyTo(ctx, dst, 0, 4096)
		c.change()
		return done, err
	}
	return c.FileSource.CopyTo(ctx, dst, off, n)
}

// Where a file system can share blocks, nothing is copied.
func TestCloneSharesTheBlocksWhereItCan(t *testing.T) {
	if os.Getuid() != 0 {
		testenv.Skip(t, "only root can mount")
	}
	if _, err := exec.LookPath("mkfs.xfs"); err != nil {
		testenv.Skip(t, "no file system to make: %v", err)
	}
	base := shortDir(t)
	dir := base + "/xfs"
	for _, command := range [][]string{
		{"truncate", "-s", "400M", base + "/image"},
		{"mkfs.xfs", "-q", base + "/image"},
		{"mkdir", dir},
		{"mount", "-o", "loop", base + "/image", dir},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			testenv.Skip(t, "%v: %s", err, out)
		}
	}
	t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
	live := openDatabase(t, dir+"/db", 1)
	makeDatabase(t, dir+"/new", 1000)
	var cloned []bool
	s := startServer(t, base, Config{DatabasePaths: []string{dir + "/db"}}, func(a *api) {
		a.push = func(ctx context.Context, db *driver.Database, src io.Reader, opts swapper.PushOptions) (swapper.Report, error) {
			return swapper.Push(ctx, db, noting{src.(transfer.FileSource), &cloned}, opts)
		}
	})
	c := newTestClient(t, s)
	if _, err := c.Push(t.Context(), TheDatabase, openFile(t, dir+"/new", os.O_RDONLY), PushParams{}); err != nil {
		t.Fatal(err)
	}
	if n := rowsIn(t, live); n != 1000 || !slices.Equal(cloned, []bool{true}) {
		t.Errorf("%d rows are live, cloned: %v", n, cloned)
	}
	file := openFile(t, dir+"/copy", os.O_RDWR|os.O_CREATE)
	if _, err := c.Snapshot(t.Context(), TheDatabase, file, SnapshotParams{}); err != nil {
		t.Fatal(err)
	}
	if n := rowsIn(t, reopen(t, dir+"/copy")); n != 1000 {
		t.Errorf("the copy has %d rows", n)
	}
}

// noting notes whether the source could be cloned.
type noting struct {
	transfer.FileSource
	cloned *[]bool
}

func (n noting) CloneTo(ctx context.Context, dst *os.File) (bool, error) {
	ok, err := n.FileSource.CloneTo(ctx, dst)
	*n.cloned = append(*n.cloned, ok)
	return ok, err
}
