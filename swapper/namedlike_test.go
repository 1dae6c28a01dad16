package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"testing"

	"hotswap/driver"
	"hotswap/internal/openers"
	"hotswap/swapper"
)

// manages makes a database called like the live one with suffix appended. A pool of the
// program has it, and no connection is open.
func (s *service) manages(suffix string) {
	s.t.Helper()
	makeDatabase(s.t, s.path+suffix, "another one", 1)
	pool, err := sql.Open(driver.Name, "file:"+s.path+suffix)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { pool.Close() })
	pool.SetMaxIdleConns(-1)
	if err := pool.Ping(); err != nil {
		s.t.Fatal(err)
	}
	_, managed := driver.Lookup(s.path + suffix)
	inode, _ := openers.InodeOf(s.path + suffix)
	if open, err := openers.Here(inode); err != nil || open || !managed {
		s.t.Fatalf("%s is managed: %t, open: %t, %v", suffix, managed, open, err)
	}
}

func TestADatabaseThatIsNamedLikeABackupIsNone(t *testing.T) {
	t.Parallel()
	for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), "&_journal=WAL")
			s.manages("~")
			s.manages(".~1~")
			opts := swapper.PushOptions{Method: method, Backup: true}
			s.refuses(opts, swapper.ErrTarget, "a database of the program's")
			opts.BackupAs, opts.Keep = swapper.BackupNumbered, 1
			s.mustPush(source(t, "new"), opts)
			s.mustPush(source(t, "newer"), opts)
			if got := fmt.Sprint(s.versions()); got != "[.~3~=new .~1~=another one ~=another one]" {
				t.Error(got)
			}
			// Its file is not there: then the number is taken all the same.
			s.manages(".~4~")
			if err := os.Remove(s.path + ".~4~"); err != nil {
				t.Fatal(err)
			}
			if r := s.mustPush(source(t, "newest"), opts); r.BackupPath != s.path+".~5~" {
				t.Errorf("kept as %s", r.BackupPath)
			}
		})
	}
}

// TestALinkThatIsPutAtTheNameOfABackupStays, and the old database is kept beside it.
func TestALinkThatIsPutAtTheNameOfABackupStays(t *testing.T) {
	t.Parallel()
	for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), "&_journal=WAL")
			opts := swapper.PushOptions{Method: method, Backup: true, BeforeSwap: func() { os.Symlink("elsewhere", s.path+"~") }}
			r, err := swapper.Push(context.Background(), s.db, bytes.NewReader(source(t, "new")), opts)
			if err == nil || !r.Swapped || stampIn(t, r.BackupPath) != "live" {
				t.Fatalf("%+v, %v", r, err)
			}
			orphans, err := swapper.RemoveOrphans(s.path)
			if err != nil || len(orphans.Aside) != 1 || stampIn(t, orphans.Aside[0]) != "live" {
				t.Fatalf("%+v, %v", orphans, err)
			}
			if to, err := os.Readlink(s.path + "~"); to != "elsewhere" {
				t.Errorf("the link leads to %s, %v", to, err)
			}
		})
	}
}

// TestADatabaseIsOpenedUnderTheNameOfABackup while a push is under way.
func TestADatabaseIsOpenedUnderTheNameOfABackup(t *testing.T) {
	t.Parallel()
	for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), "&_journal=WAL")
			opts := swapper.PushOptions{Method: method, Backup: true, BeforeSwap: func() { s.manages("~") }}
			r, err := swapper.Push(context.Background(), s.db, bytes.NewReader(source(t, "new")), opts)
			if err == nil || !r.Swapped || stampIn(t, r.BackupPath) != "live" || stampIn(t, s.path+"~") != "another one" {
				t.Fatalf("%+v, %v", r, err)
			}
			orphans, err := swapper.RemoveOrphans(s.path)
			if err != nil || len(orphans.Aside) != 1 {
				t.Fatalf("%+v, %v", orphans, err)
			}
			if kept, other := stampIn(t, orphans.Aside[0]), stampIn(t, s.path+"~"); kept != "live" || other != "another one" {
				t.Errorf("%s is %s, and ~ is %s", orphans.Aside[0], kept, other)
			}
		})
	}
}
