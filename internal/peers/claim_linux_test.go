package peers

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hotswap/internal/fileid"
	"hotswap/internal/testenv"
)

// aFile returns a file that is new, of an inode that need not be.
func aFile(t *testing.T) fileid.ID {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return fileid.Of(f.Name())
}

func TestAClaimIsNotThatOfALaterFileWithTheSameInode(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	claimed := map[uint64]fileid.ID{}
	for range 1000 {
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		file := fileid.OfFD(f.Fd())
		f.Close()
		os.Remove(name)
		if _, ok := claimed[file.Ino]; ok {
			release, err := Claim(file)
			if err != nil {
				t.Fatal(err)
			}
			release()
			return
		}
		claimed[file.Ino] = file
		release, err := Claim(file)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	testenv.Skip(t, "the file system gave no inode twice")
}

func TestAFileIsReplacedByOneProcessAtATime(t *testing.T) {
	file := aFile(t)
	release, err := Claim(file)
	if err != nil {
		t.Fatal(err)
	}
	var claimed *ClaimedError
	if _, err := Claim(file); !errors.As(err, &claimed) || claimed.Process.PID != os.Getpid() {
		t.Errorf("a second one gets %v", err)
	}
	again, err := Claim(aFile(t))
	if err != nil {
		t.Fatal(err)
	}
	again()
	release()
	if again, err = Claim(file); err != nil {
		t.Fatal(err)
	}
	again()
}

// TestAClaimThatWasReleasedIsNotKeptByAChild: between fork and exec a child has copies of
// all descriptors.
func TestAClaimThatWasReleasedIsNotKeptByAChild(t *testing.T) {
	file := aFile(t)
	name := claimPrefix + file.Text()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	copied, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	shutdown(l)
	l.Close()
	time.AfterFunc(50*time.Millisecond, func() { copied.Close() })
	release, err := Claim(file)
	if err != nil {
		t.Fatal(err)
	}
	release()
}
