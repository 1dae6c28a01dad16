package swapper_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"hotswap/driver"
	"hotswap/internal/snapshot"
	"hotswap/internal/testenv"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// copiesBeneath is whether files are copied beneath SQLite on this system.
const copiesBeneath = runtime.GOOS == "linux"

// fileDest is a file that a pull fills, as it does a client's.
type fileDest struct {
	snapshot.Dest
	path       string
	elsewhere  bool   // in another file system
	asked      bool   // for a digest
	copying    func() // before each piece
	unopenable bool   // the live file can't be opened once more
	sources    []os.FileInfo
}

func newFileDest(t *testing.T) *fileDest {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "pulled.sqlite3"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &fileDest{Dest: snapshot.File(f), path: f.Name()}
}

func (d *fileDest) WantsDigest() bool           { return d.asked }
func (d *fileDest) Beside(os.FileInfo) bool     { return !d.elsewhere }
func (d *fileDest) Write(p []byte) (int, error) { return 0, errors.ErrUnsupported }

func (d *fileDest) CloneFrom(context.Context, syscall.Conn) (bool, error) { return false, nil }

func (d *fileDest) CopyFrom(ctx context.Context, src syscall.Conn, off, n int64) (int64, error) {
	if d.copying != nil {
		d.copying()
	}
	_, ours := src.(*os.File)
	if d.unopenable && !ours {
		return 0, transfer.ErrNotOpened
	}
	raw, err := src.SyscallConn()
	if err != nil {
		return 0, err
	}
	raw.Control(func(fd uintptr) {
		info, err := os.Stat("/proc/self/fd/" + strconv.Itoa(int(fd)))
		if err == nil {
			d.sources = append(d.sources, info)
		}
	})
	return d.Dest.CopyFrom(ctx, src, off, n)
}

// fromLive reports whether all was copied from the live file itself.
func (d *fileDest) fromLive(t *testing.T, path string) bool {
	t.Helper()
	live, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return len(d.sources) > 0 && !slices.ContainsFunc(d.sources, func(i os.FileInfo) bool { return !os.SameFile(i, live) })
}

// TestAPullToAFileIsCopiedFromTheLiveOne and so written once, where both are in one
// file system, and nothing else has to be done with the copy. Else it is taken beside
// the database first.
func TestAPullToAFileIsCopiedFromTheLiveOne(t *testing.T) {
	t.Parallel()
	if !copiesBeneath {
		testenv.Skip(t, "no file is copied beneath SQLite on this system")
	}
	for _, mode := range []string{"WAL", "DELETE"} {
		for name, test := range map[string]struct {
			opts   swapper.PullOptions
			change func(*fileDest)
			direct bool
		}{
			"beside":                  {swapper.PullOptions{}, func(*fileDest) {}, true},
			"another file system":     {swapper.PullOptions{}, func(d *fileDest) { d.elsewhere = true }, false},
			"digest":                  {swapper.PullOptions{}, func(d *fileDest) { d.asked = true }, false},
			"checked":                 {swapper.PullOptions{Check: true}, func(*fileDest) {}, false},
			"it can't be opened here": {swapper.PullOptions{}, func(d *fileDest) { d.unopenable = true }, false},
		} {
			t.Run(mode+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := start(t, t.TempDir(), "&_journal="+mode)
				s.exec("UPDATE items SET filler = zeroblob(5000)")
				dst := newFileDest(t)
				test.change(dst)
				beside := 0
				dst.copying = func() {
					found, _ := filepath.Glob(filepath.Join(s.dir, ".*.pull"))
					beside += len(found)
				}
				var announced int64
				test.opts.Begin = func(n int64) { announced = n }
				r, err := swapper.Pull(t.Context(), s.db, dst, test.opts)
				if err != nil {
					t.Fatal(err)
				}
				if got := dst.fromLive(t, s.path); got != test.direct || (beside == 0) != test.direct {
					t.Errorf("copied from the live file: %v; %d times there was a copy beside it", got, beside)
				}
				content, err := os.ReadFile(dst.path)
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(content)
				if r.Bytes != int64(len(content)) || announced != r.Bytes || dst.asked != (r.SHA256 == hex.EncodeToString(sum[:])) {
					t.Errorf("%d bytes, %d announced, %+v", len(content), announced, r)
				}
				samePulled(t, s, dst.path)
				s.onlyFiles()
			})
		}
	}
}

// samePulled compares a copy with what is live.
func samePulled(t *testing.T, s *service, path string) {
	t.Helper()
	pulled, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer pulled.Close()
	var ok string
	if err := pulled.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
		t.Errorf("integrity_check: %s, %v", ok, err)
	}
	if digest(t, pulled) != digest(t, s.pool) {
		t.Error("the copy has other content")
	}
}

// TestWhatCannotBeCopiedBeneathSQLiteIsCopiedByIt: here of a log whose frames are not
// as they must be, which only recovery looks at.
func TestWhatCannotBeCopiedBeneathSQLiteIsCopiedByIt(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.exec("PRAGMA wal_checkpoint(TRUNCATE)")
	s.exec("UPDATE items SET filler = 'in the log' WHERE id % 7 = 0")
	wal, err := os.OpenFile(s.path+"-wal", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer wal.Close()
	const salt = 32 + 8 // of the first frame
	var b [1]byte
	flip := func() {
		if _, err := wal.ReadAt(b[:], salt); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 1
		if _, err := wal.WriteAt(b[:], salt); err != nil {
			t.Fatal(err)
		}
	}
	flip()
	defer flip()
	var out bytes.Buffer
	r, err := swapper.Pull(t.Context(), s.db, &out, swapper.PullOptions{})
	if err != nil || r.Bytes != int64(out.Len()) {
		t.Fatal(r, err)
	}
	path := filepath.Join(t.TempDir(), "stream.sqlite3")
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	samePulled(t, s, path)
	dst := newFileDest(t)
	if _, err := swapper.Pull(t.Context(), s.db, dst, swapper.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	samePulled(t, s, dst.path)
	if copiesBeneath && dst.fromLive(t, s.path) {
		t.Error("it was copied beneath SQLite all the same")
	}
	s.onlyFiles()
}

// TestADestinationThatFailsLeavesTheDatabaseAlone: no transaction stays open, and a push
// can follow.
func TestADestinationThatFailsLeavesTheDatabaseAlone(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	dst := newFileDest(t)
	ctx, cancel := context.WithCancel(t.Context())
	dst.copying = cancel
	if _, err := swapper.Pull(ctx, s.db, dst, swapper.PullOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	dst.copying = nil
	dst.Dest = full{dst.Dest}
	if _, err := swapper.Pull(t.Context(), s.db, dst, swapper.PullOptions{}); !errors.Is(err, swapper.ErrNoSpace) {
		t.Errorf("a full disk: %v", err)
	}
	s.mustPush(source(t, "new"), swapper.PushOptions{Method: swapper.MethodRename})
	s.onlyFiles()
	if n := len(driver.Databases()); n == 0 {
		t.Error("it is not managed any more")
	}
}

// full is on a disk that is.
type full struct{ snapshot.Dest }

func (full) CopyFrom(context.Context, syscall.Conn, int64, int64) (int64, error) {
	return 0, os.NewSyscallError("copy_file_range", syscall.ENOSPC)
}
