package openers_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"hotswap/internal/openers"
	"hotswap/internal/testenv"
)

func TestAFileIsSeenAsLongAsItIsOpen(t *testing.T) {
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "/proc is needed")
	}
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("content"); err != nil {
		t.Fatal(err)
	}
	file, ok := openers.InodeOf(path)
	if !ok {
		t.Fatal("no inode")
	}
	if open, err := openers.Here(file); err != nil || !open {
		t.Errorf("open here: %t, %v", open, err)
	}
	if head := openers.Head(file, 4); string(head) != "cont" {
		t.Errorf("it begins with %q", head)
	}
	if head := openers.Head(file, 8); head != nil {
		t.Errorf("a shorter file begins with %q", head)
	}
	if fd, gone := openers.Unlinked(path); gone {
		t.Errorf("descriptor %s has no name", fd)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if fd, gone := openers.Unlinked(path); !gone || fd != fmt.Sprint(f.Fd()) {
		t.Errorf("descriptor %q, %t; want %d", fd, gone, f.Fd())
	}
	f.Close()
	if open, err := openers.Here(file); err != nil || open {
		t.Errorf("open here after its close: %t, %v", open, err)
	}
}

func TestAnotherProcessIsNamedByItsCommand(t *testing.T) {
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "/proc is needed")
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, path + ".missing"} {
		if all := openers.At(path); len(all) > 0 {
			t.Errorf("%s: %v", path, all)
		}
	}
	cmd := exec.Command("sh", "-c", `exec 3<"$1"; echo open; read line`, "sh", path)
	testenv.Start(t, cmd).Line()
	testenv.Eventually(t, func() error { // a child is not counted at once
		if got, want := fmt.Sprint(openers.At(path)), fmt.Sprintf("[process %d (sh)]", cmd.Process.Pid); got != want {
			return fmt.Errorf("got %s, want %s", got, want)
		}
		return nil
	})
}
