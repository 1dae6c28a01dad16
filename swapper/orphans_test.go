package swapper_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

func TestOrphansOfAKilledProcessAreRemovedAndThoseOfALivingOneStay(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	name := func(id, kind string) string {
		return filepath.Join(s.dir, fmt.Sprintf(".live.sqlite3.hotswap-%s.%s", id, kind))
	}
	dead := []string{name("AAAAAAAAAAAA", "stage"), name("BBBBBBBBBBBB", "pull"), name("CCCCCCCCCCCC", "undo-1-2")}
	for _, n := range dead[:2] {
		if err := os.WriteFile(n, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(n+"-wal", nil, 0o600)
	}
	// Killed between the link and the rename, where names can't be exchanged: a
	// second name of the live file.
	if err := os.Link(s.path, dead[2]); err != nil {
		t.Fatal(err)
	}
	living := name("DDDDDDDDDDDD", "stage")
	f, err := os.Create(living)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	others := []string{filepath.Join(s.dir, ".other.sqlite3.hotswap-AAAAAAAAAAAA.stage"), filepath.Join(s.dir, ".live.sqlite3.hotswap-short.stage")}
	for _, n := range others {
		os.WriteFile(n, nil, 0o600)
	}
	orphans, err := swapper.RemoveOrphans(s.path)
	removed := orphans.Removed
	if err != nil || fmt.Sprint(removed) != fmt.Sprint(dead) {
		t.Errorf("removed %v, %v; want %v", removed, err, dead)
	}
	s.onlyFiles(filepath.Base(living), filepath.Base(others[0]), filepath.Base(others[1]))
	s.exec("INSERT INTO items (stamp) VALUES ('live')")
	s.mustPush(source(t, "new"), swapper.PushOptions{})
}

// TestAStageIsNotTakenForAnOrphanWhileItIsMade: between its creation and its
// lock it looks like one.
func TestAStageIsNotTakenForAnOrphanWhileItIsMade(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	stop := testenv.Loop(t, 1, func() error {
		_, err := swapper.RemoveOrphans(s.path)
		return err
	})
	for range testenv.Sample(80, 300) {
		if _, err := swapper.Pull(context.Background(), s.db, io.Discard, swapper.PullOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	s.onlyFiles()
}
