package fileid_test

import (
	"os"
	"path/filepath"
	"testing"

	"hotswap/internal/fileid"
)

func TestAFileIsItselfByEveryName(t *testing.T) {
	dir := t.TempDir()
	a, b, c := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "c")
	f, err := os.Create(a)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := fileid.Of(a)
	if err := os.Link(a, b); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(b, c); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("written, linked and pointed to"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []fileid.ID{fileid.Of(a), fileid.Of(b), fileid.Of(c), fileid.OfFD(f.Fd())} {
		if id != before || id == fileid.None {
			t.Errorf("%+v is not %+v", id, before)
		}
	}
	if got := fileid.Of(filepath.Join(dir, "d")); got != fileid.None {
		t.Errorf("no file is %+v", got)
	}
}

// TestAFileMadeAnewIsAnother: ext4 reuses the previous one's number at once; tmpfs and
// XFS do not. Both must be told apart.
func TestAFileMadeAnewIsAnother(t *testing.T) {
	for _, dir := range []string{t.TempDir(), "/dev/shm"} {
		sameNumber := 0
		for range 20 {
			f, err := os.CreateTemp(dir, "fileid")
			if err != nil {
				t.Fatal(err)
			}
			f.Close()
			name := f.Name()
			was := fileid.Of(name)
			os.Remove(name)
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			now := fileid.Of(name)
			os.Remove(name)
			if was == now {
				t.Errorf("in %s the new file is taken for the old one: %+v", dir, now)
			}
			if was.Ino == now.Ino {
				sameNumber++
			}
		}
		t.Logf("%s: the same number %d times of 20", dir, sameNumber)
	}
}
