package sockserver

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
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

// Where a file system can share blocks, nothing is copied: neither by a push nor by a
// pull, nor, for a pull whose copy is made beside the database first, on the way there.
func TestCloneSharesTheBlocksWhereItCan(t *testing.T) {
	if os.Getuid() != 0 {
		testenv.Skip(t, "only root can mount")
	}
	for kind, size := range map[string]string{"xfs": "320M", "btrfs": "256M"} {
		t.Run(kind, func(t *testing.T) {
			if _, err := exec.LookPath("mkfs." + kind); err != nil {
				testenv.Skip(t, "no file system to make: %v", err)
			}
			base := shortDir(t)
			dir := base + "/" + kind
			for _, command := range [][]string{
				{"truncate", "-s", size, base + "/image"},
				{"mkfs." + kind, "-q", base + "/image"},
				{"mkdir", dir},
				{"mount", "-o", "loop", base + "/image", dir},
			} {
				if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
					testenv.Skip(t, "%v: %s", err, out)
				}
			}
			t.Cleanup(func() { exec.Command("umount", "-l", dir).Run() })
			clonesOn(t, base, dir)
		})
	}
}

func clonesOn(t *testing.T, base, dir string) {
	live := openDatabase(t, dir+"/db", 1)
	makeDatabase(t, dir+"/new", 1000)
	var cloned []bool
	s := startServer(t, base, Config{DatabasePaths: []string{dir + "/db"}}, func(a *api) {
		a.push = func(ctx context.Context, db *driver.Database, src io.Reader, opts swapper.PushOptions) (swapper.Report, error) {
			return swapper.Push(ctx, db, noting{src.(transfer.FileSource), &cloned}, opts)
		}
		a.pull = func(ctx context.Context, db *driver.Database, dst io.Writer, opts swapper.PullOptions) (swapper.Report, error) {
			return swapper.Pull(ctx, db, notingDest{dst.(transfer.FileDest), &cloned}, opts)
		}
	})
	c := newTestClient(t, s)
	if _, err := c.Push(t.Context(), TheDatabase, openFile(t, dir+"/new", os.O_RDONLY), PushParams{}); err != nil {
		t.Fatal(err)
	}
	if n := rowsIn(t, live); n != 1000 {
		t.Errorf("%d rows are live", n)
	}
	// What is in the log only is laid over the shared blocks, and stays out of the live file's.
	_, err := live.Exec("UPDATE t SET v = 'in the log'")
	must(t, err)
	for _, check := range []bool{false, true} { // filled from the live file, and from a copy beside it
		file := openFile(t, dir+"/copy", os.O_RDWR|os.O_CREATE|os.O_TRUNC)
		if _, err := c.Snapshot(t.Context(), TheDatabase, file, SnapshotParams{Check: check}); err != nil {
			t.Fatal(err)
		}
		copied := reopen(t, dir+"/copy")
		var n int
		must(t, copied.QueryRow("SELECT count(*) FROM t WHERE v = 'in the log'").Scan(&n))
		if n != 1000 {
			t.Errorf("the copy has %d rows as they are", n)
		}
		_, err := copied.Exec("UPDATE t SET v = 'of the copy'")
		must(t, err)
		must(t, copied.Close())
	}
	if !slices.Equal(cloned, []bool{true, true, true}) {
		t.Errorf("cloned: %v", cloned)
	}
	var n int
	must(t, live.QueryRow("SELECT count(*) FROM t WHERE v = 'in the log'").Scan(&n))
	if n != 1000 {
		t.Errorf("%d rows are live as they were", n)
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

// notingDest notes whether the destination could be.
type notingDest struct {
	transfer.FileDest
	cloned *[]bool
}

func (n notingDest) CloneFrom(ctx context.Context, src syscall.Conn) (bool, error) {
	ok, err := n.FileDest.CloneFrom(ctx, src)
	*n.cloned = append(*n.cloned, ok)
	return ok, err
}
