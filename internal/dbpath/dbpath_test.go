package dbpath

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
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

func TestLinksAreAllThatAPathLeadsThrough(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for path, target := range map[string]string{"app/current": "../releases/2", "releases/2/data": dir + "/shared", "shared/a.db": "./b.db", "loop": "loop"} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "shared/b.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	name := dir + "/releases/../app//current/data/a.db"
	want := []string{dir + "/app/current", dir + "/releases/2/data", dir + "/shared/a.db"}
	real, links, err := Links(name)
	if err != nil || !slices.Equal(links, want) {
		t.Errorf("%v, %v; want %v", links, err, want)
	}
	if same, err := Real(name); err != nil || real != same {
		t.Errorf("it leads to %s, not %s: %v", real, same, err)
	}
	for _, name := range []string{dir + "/loop", dir + "/shared/none"} {
		if real, _, err := Links(name); err == nil {
			t.Errorf("%s leads to %s", name, real)
		}
	}
}

func TestURIEscapesWhatWouldEndThePath(t *testing.T) {
	if got := URI("/a b/50%?#.db", "mode=ro", "x=1"); got != "file:/a b/50%25%3f%23.db?mode=ro&x=1" {
		t.Error(got)
	}
}
