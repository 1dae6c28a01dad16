package swapper_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// holder is a destination that keeps the snapshot.
type holder struct {
	io.Writer
	transfer.Held
}

func (h *holder) Hold(held transfer.Held) { h.Held = held }

func (s *service) hold() transfer.Held {
	s.t.Helper()
	var h holder
	if _, err := swapper.Pull(context.Background(), s.db, &h, swapper.PullOptions{Dest: "a holder"}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(h.Release)
	return h.Held
}

// patch makes new out of a held snapshot, page by page.
type patch struct {
	base transfer.Held
	new  []byte
	sum  [32]byte
	next int
	err  error // of the last Next, instead of io.EOF
}

const page = 4096

func newPatch(base transfer.Held, new []byte) *patch {
	return &patch{base: base, new: new, sum: sha256.Sum256(new), err: io.EOF}
}

func (p *patch) Read([]byte) (int, error) { panic("a patch has no bytes") }
func (p *patch) Base() transfer.Held      { return p.base }

func (p *patch) Begin() (int64, error) { return int64(len(p.new)), nil }
func (p *patch) SHA256() [32]byte      { return p.sum }

func (p *patch) Next() (int64, []byte, error) {
	for ; p.next < len(p.new); p.next += page {
		now := p.new[p.next:min(p.next+page, len(p.new))]
		old := make([]byte, len(now))
		if n, _ := p.base.ReadAt(old, int64(p.next)); n == len(now) && bytes.Equal(old, now) {
			continue
		}
		off := p.next
		p.next += page
		return int64(off), now, nil
	}
	return 0, nil, p.err
}

func (s *service) pushPatch(src io.Reader, opts swapper.PushOptions) (swapper.Report, error) {
	opts.Source = "patch"
	return swapper.Push(context.Background(), s.db, src, opts)
}

func TestAPushWritesWhatDiffersOverAHeldSnapshot(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
			t.Run(mode+" "+string(method), func(t *testing.T) {
				s := start(t, t.TempDir(), "&_journal="+mode)
				large, path := source(t, "new"), filepath.Join(t.TempDir(), "small.sqlite3")
				makeDatabase(t, path, "small", 10)
				small, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				// What is live may be longer or shorter than what is pushed, and is
				// written to between the snapshot and the push.
				for _, data := range [][]byte{large, small, large} {
					base := s.hold()
					s.exec("INSERT INTO items (stamp) VALUES ('late')")
					report, err := s.pushPatch(newPatch(base, data), swapper.PushOptions{Method: method, SkipIntegrityCheck: true})
					if err != nil || report.Bytes != int64(len(data)) || !report.Swapped || len(report.SHA256) != 64 {
						t.Fatalf("%+v, %v", report, err)
					}
					base.Release()
				}
				if got := s.stamp(); got != "new" {
					t.Errorf("the program reads %q", got)
				}
				s.onlyFiles()
			})
		}
	}
}

func TestAPatchThatDoesNotFitChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	data := source(t, "new")
	lost := errors.New("connection lost")
	for name, test := range map[string]struct {
		spoil func(*patch)
		is    error
	}{
		"another digest":   {func(p *patch) { p.sum[0] ^= 1 }, transfer.ErrPatched},
		"a released base":  {func(p *patch) { p.base.Release() }, transfer.ErrNotHeld},
		"a broken source":  {func(p *patch) { p.err = lost }, lost},
		"nothing of it":    {func(p *patch) { p.next = len(p.new) }, transfer.ErrPatched},
		"too large a size": {func(p *patch) { p.new, p.next = make([]byte, 1<<20), 1<<20 }, transfer.ErrPatched},
	} {
		p := newPatch(s.hold(), data)
		test.spoil(p)
		report, err := s.pushPatch(p, swapper.PushOptions{})
		if !errors.Is(err, test.is) || report.Swapped || !strings.Contains(err.Error(), "the live database is unchanged") {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
		p.base.Release()
		s.onlyFiles()
	}
	if got := s.stamp(); got != "live" {
		t.Errorf("the program reads %q", got)
	}
}

// boundless announces more than it has.
type boundless struct {
	*patch
	size int64
	look func()
}

func (b boundless) Begin() (int64, error) { return b.size, nil }

func (b boundless) Next() (int64, []byte, error) {
	b.look()
	return b.patch.Next()
}

// TestAPatchTakesTheRoomOfWhatItHas, not of what it announces.
func TestAPatchTakesTheRoomOfWhatItHas(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	var most int64
	look := func() {
		stages, err := filepath.Glob(filepath.Join(filepath.Dir(s.path), ".*hotswap-*"))
		if err != nil || len(stages) == 0 {
			t.Fatal(stages, err)
		}
		for _, stage := range stages {
			info, err := os.Stat(stage)
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, info.Size(), info.Sys().(*syscall.Stat_t).Blocks*512)
		}
	}
	p := newPatch(s.hold(), source(t, "new"))
	_, err := s.pushPatch(boundless{p, 4 << 30, look}, swapper.PushOptions{})
	if !errors.Is(err, transfer.ErrPatched) || !strings.Contains(err.Error(), "it has nothing for what is at ") {
		t.Errorf("got %v", err)
	}
	if most > 64<<20 {
		t.Errorf("the stage took %d bytes", most)
	}
	p.base.Release()
	s.onlyFiles()
}

func TestAHeldSnapshotIsOfItsDatabaseAlone(t *testing.T) {
	t.Parallel()
	s, other := start(t, t.TempDir(), "&_journal=WAL"), start(t, t.TempDir(), "&_journal=WAL")
	base := s.hold()
	if _, err := other.pushPatch(newPatch(base, source(t, "new")), swapper.PushOptions{}); !errors.Is(err, transfer.ErrNotHeld) {
		t.Errorf("got %v", err)
	}
	if n, err := base.ReadAt(make([]byte, 16), 0); n != 16 || err != nil {
		t.Errorf("it is gone: %d, %v", n, err)
	}
	base.Release()
	if _, err := base.ReadAt(make([]byte, 16), 0); !errors.Is(err, transfer.ErrNotHeld) {
		t.Errorf("got %v", err)
	}
	base.Release()
	s.onlyFiles()
}

func TestAPatchOfADatabaseThatWasRemovedIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=DELETE")
	base := s.hold()
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pushPatch(newPatch(base, source(t, "new")), swapper.PushOptions{}); !errors.Is(err, transfer.ErrNotHeld) {
		t.Errorf("got %v", err)
	}
}

func TestASourceThatIsTooLongIsNotReadToItsEnd(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	data := source(t, "new")
	endless := io.MultiReader(bytes.NewReader(data), zeros{})
	_, err := swapper.Push(context.Background(), s.db, endless, swapper.PushOptions{Size: int64(len(data))})
	if !errors.Is(err, swapper.ErrBadDatabase) || !strings.Contains(err.Error(), "the source is too long") {
		t.Errorf("got %v", err)
	}
	s.onlyFiles()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
