package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"hotswap/swapper"
)

// watched is a context that is told of each call of Err by a function, given by the end of
// its name: goroutines of database/sql call Err, too, when they get to it.
type watched struct {
	context.Context
	by   string
	look func()
}

func (w watched) Err() error {
	var callers [1]uintptr
	runtime.Callers(2, callers[:])
	if frame, _ := runtime.CallersFrames(callers[:]).Next(); strings.HasSuffix(frame.Function, w.by) {
		w.look()
	}
	return w.Context.Err()
}

// TestACopyIsABackupOnlyOnceTheContentIsBeingCommitted: until then recovery, which can
// only look at the schema cookie, would take a migration that came before it for a push.
func TestACopyIsABackupOnlyOnceTheContentIsBeingCommitted(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	copies := func() int {
		found, err := filepath.Glob(filepath.Join(s.dir, ".*.copy-*"))
		if err != nil {
			t.Error(err)
		}
		return len(found)
	}
	looks := 0 // one before each step that writes
	ctx := watched{t.Context(), "(*overwrite).write", func() {
		looks++
		if n := copies(); n > 0 {
			t.Errorf("look %d: %d copies would become the backup, and nothing is committed", looks, n)
		}
	}}
	_, err := swapper.Push(ctx, s.db, bytes.NewReader(sourceWith(t, "new", 12<<20)), swapper.PushOptions{Source: "test", Method: swapper.MethodInPlace, Backup: true})
	if err != nil || looks < 2 {
		t.Errorf("%v, %d looks", err, looks)
	}
	if got := copies(); got != 0 {
		t.Errorf("%d copies are left", got)
	}
	if _, err := os.Stat(s.path + "~"); err != nil {
		t.Error(err)
	}
}

// TestAnOlderBackupIsKeptWhereTheNextIsOnlyLikely: a copy whose push may have been
// committed, as far as the schema cookie tells.
func TestAnOlderBackupIsKeptWhereTheNextIsOnlyLikely(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.mustPush(source(t, "second"), swapper.PushOptions{Backup: true})
	older := s.path + "~"
	if err := os.WriteFile(older+"-wal", []byte("its log"), 0o600); err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(older)
	if err != nil {
		t.Fatal(err)
	}
	inode := info(t, s.path).Sys().(*syscall.Stat_t).Ino
	copied := filepath.Join(s.dir, fmt.Sprintf(".live.sqlite3.hotswap-AAAAAAAAAAAA.copy-7777-%x", inode))
	if err := os.WriteFile(copied, []byte("the copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	orphans, err := swapper.RemoveOrphans(s.path)
	if err != nil || orphans.Backup != older || len(orphans.Aside) != 1 || !strings.Contains(orphans.Aside[0], ".set-aside-") {
		t.Fatalf("%+v, %v", orphans, err)
	}
	for name, want := range map[string]string{older: "the copy", orphans.Aside[0]: string(was), orphans.Aside[0] + "-wal": "its log"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v; want %d", filepath.Base(name), len(got), err, len(want))
		}
	}
	if _, err := os.Stat(older + "-wal"); err == nil {
		t.Error("the older backup's log is beside the new one")
	}
}

// TestABackupReplacesNoFileThatTheProgramHasOpen: a database of that name is another one,
// and its writes would be lost.
func TestABackupReplacesNoFileThatTheProgramHasOpen(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	other, err := sql.Open("sqlite3", "file:"+s.path+"~")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Exec("CREATE TABLE t (v)"); err != nil {
		t.Fatal(err)
	}
	s.refuses(swapper.PushOptions{Backup: true}, swapper.ErrTarget, "live.sqlite3~", "without --backup")
	if _, err := other.Exec("INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	other.Close()
	s.mustPush(source(t, "new"), swapper.PushOptions{Backup: true})
}
