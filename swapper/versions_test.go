package swapper_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hotswap/swapper"
)

// versions are the names of a database's backups and what they hold.
func (s *service) versions() (list []string) {
	s.t.Helper()
	all, err := swapper.Backups(s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range all {
		list = append(list, fmt.Sprintf("%s=%s", strings.TrimPrefix(filepath.Base(b.Path), "live.sqlite3"), stampIn(s.t, b.Path)))
	}
	return list
}

// stampIn is the stamp of a database that nobody has open.
func stampIn(t testing.TB, path string) (stamp string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT group_concat(DISTINCT stamp) FROM items").Scan(&stamp); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return stamp
}

func TestVersionsAreKept(t *testing.T) {
	t.Parallel()
	for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), "&_journal=WAL")
			push := func(stamp string, as swapper.BackupNames, keep int, want ...string) swapper.Report {
				t.Helper()
				r := s.mustPush(source(t, stamp), swapper.PushOptions{Method: method, BackupAs: as, Keep: keep, By: "who", Source: "what"})
				if got := s.versions(); !slices.Equal(got, want) {
					t.Fatalf("%s as %s, keep %d: %q, want %q", stamp, as, keep, got, want)
				}
				return r
			}
			push("a", swapper.BackupExisting, 0, "~=live")
			push("b", swapper.BackupNumbered, 0, ".~1~=a", "~=live")
			push("c", swapper.BackupExisting, 0, ".~2~=b", ".~1~=a", "~=live")
			push("d", swapper.BackupSimple, 0, ".~2~=b", ".~1~=a", "~=c")
			if err := os.WriteFile(s.path+".~8~-wal", []byte("of another one"), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{".~01~", ".~x~", ".~-3~", ".~99999999999999999999~", ".~0~"} { // none of ours
				if err := os.WriteFile(s.path+name, nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Mkdir(s.path+".~20~", 0o700); err != nil {
				t.Fatal(err)
			}
			r := push("e", swapper.BackupNumbered, 2, ".~21~=d", ".~2~=b", "~=c")
			if r.BackupPath != s.path+".~21~" {
				t.Error(r.BackupPath)
			}
			read, err := os.Open(s.path + ".~2~")
			if err != nil {
				t.Fatal(err)
			}
			push("f", swapper.BackupNumbered, 1, ".~22~=e", ".~2~=b", "~=c")
			read.Close()
			push("g", swapper.BackupNumbered, 1, ".~23~=f", "~=c")
			all, err := swapper.Backups(s.path)
			if err != nil {
				t.Fatal(err)
			}
			if b := all[0]; b.By != "who" || b.Source != "what" || b.Generation != s.db.Generation()-1 || b.Replaced.IsZero() || b.Number != 23 {
				t.Errorf("%+v", b)
			}
			// What goes live is no backup any more, and says nothing of when it was one.
			if err := os.Rename(s.path+".~23~", s.path); err != nil {
				t.Fatal(err)
			}
			s.stamp()
			push("h", swapper.BackupNumbered, 0, ".~21~=f", "~=c")
			if _, err := s.push(source(t, "i"), swapper.PushOptions{Backup: true, Keep: 1}); err == nil || !strings.Contains(err.Error(), "no numbered backup") {
				t.Error(err)
			}
			if _, err := s.push(source(t, "i"), swapper.PushOptions{BackupAs: "sometimes"}); err == nil || !strings.Contains(err.Error(), "simple, numbered or existing") {
				t.Error(err)
			}
		})
	}
}
