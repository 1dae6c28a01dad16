package dbpath

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestRealFollowsWhatSQLiteFollows(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, link := range [][2]string{{"sub/real", "one"}, {"one", "two"}, {"loop", "loop"}, {"none", "dangling"}, {"sub/deep", "linked"}} {
		if err := os.Symlink(link[0], link[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll("sub/deep", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"sub/real": "sub/real", "two": "sub/real", "./linked/../real": "sub/real", "linked/x": "sub/deep/x",
		"dangling": "none", "not/../there": "there",
	} {
		if got, err := Real(name); err != nil || got != filepath.Join(dir, want) {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
	if _, err := Real("loop"); !errors.Is(err, os.ErrInvalid) {
		t.Errorf("a loop: %v", err)
	}
	if _, err := Real("no/such/directory"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestURIEscapesWhatWouldEndThePath(t *testing.T) {
	if got := URI("/a b/50%?#.db", "mode=ro", "x=1"); got != "file:/a b/50%25%3f%23.db?mode=ro&x=1" {
		t.Error(got)
	}
}
