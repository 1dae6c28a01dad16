package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// passthrough is the role of a child process that serves a directory at a mount
// point, until its standard input ends; the variable holds the mount point. Not
// in the process that uses it: a page fault there would wait for itself.
const passthrough = "HOTSWAP_TEST_FUSE"

func TestMain(m *testing.M) {
	if at := os.Getenv(passthrough); at != "" {
		if err := servePassthrough(at+".behind", at); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func servePassthrough(dir, at string) error {
	root, err := fs.NewLoopbackRoot(dir)
	if err != nil {
		return err
	}
	server, err := fs.Mount(at, root, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true}})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return server.Unmount()
}

// mountFUSE returns a directory on a FUSE file system.
func mountFUSE(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil || os.Getuid() != 0 {
		testenv.Skip(t, "must be root, and have /dev/fuse")
	}
	at := filepath.Join(t.TempDir(), "mnt")
	for _, dir := range []string{at, at + ".behind"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), passthrough+"="+at)
	cmd.Stderr = os.Stderr
	server := testenv.Start(t, cmd)
	t.Cleanup(func() {
		if err := server.End(); err != nil {
			t.Error(err)
		}
	})
	if line := server.Line(); line != "ready" {
		t.Fatalf("not mounted: %s", line)
	}
	return at
}

// TestOnFUSEAPushGoesInPlace: who else has a file open there the kernel does not
// know, as the daemon behind it may be asked by others. LiteFS is one.
func TestOnFUSEAPushGoesInPlace(t *testing.T) {
	path := filepath.Join(mountFUSE(t), "live.sqlite3")
	pool, db := open(t, path)
	defer pool.Close()
	stamp := func() (stamp string) {
		if err := pool.QueryRow("SELECT group_concat(DISTINCT stamp) FROM items").Scan(&stamp); err != nil {
			t.Fatal(err)
		}
		return stamp
	}
	for _, method := range []swapper.Method{swapper.MethodAuto, swapper.MethodInPlace} {
		r, err := swapper.Push(context.Background(), db, bytes.NewReader(source(t, string(method), 1<<20)), swapper.PushOptions{Method: method, Backup: true})
		if err != nil {
			t.Fatal(err)
		}
		if r.Method != swapper.MethodInPlace || stamp() != string(method) {
			t.Errorf("%+v", r)
		}
		if method == swapper.MethodAuto && !strings.Contains(r.InPlaceBecause, "the file system is FUSE") {
			t.Errorf("in place because %s", r.InPlaceBecause)
		}
	}
	// Asked for a rename it does one, without a lease; and it looks through /proc.
	r, err := swapper.Push(context.Background(), db, bytes.NewReader(source(t, "renamed", 1<<20)), swapper.PushOptions{Method: swapper.MethodRename})
	if err != nil || r.Method != swapper.MethodRename || stamp() != "renamed" {
		t.Errorf("%+v, %v", r, err)
	}
	live, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat")
	cmd.ExtraFiles = []*os.File{live}
	other := testenv.Start(t, cmd)
	live.Close()
	_, err = swapper.Push(context.Background(), db, bytes.NewReader(source(t, "again", 1<<20)), swapper.PushOptions{Method: swapper.MethodRename})
	if !errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), "(cat)") || stamp() != "renamed" {
		t.Errorf("a rename beside another process that has the file open: %v", err)
	}
	other.End()
}
