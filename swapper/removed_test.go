package swapper_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// TestABackupOfARemovedFileHasEveryAcknowledgedWrite: the program writes until the gate
// closes.
func TestABackupOfARemovedFileHasEveryAcknowledgedWrite(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"removed", "removed with its log"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), "&_journal=WAL&_busy_timeout=10000")
			s.exec("CREATE TABLE acks (seq INTEGER PRIMARY KEY)")
			var acknowledged atomic.Int64
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				for seq := int64(1); ; seq++ {
					select {
					case <-stop:
						return
					default:
					}
					_, err := s.pool.Exec("INSERT INTO acks VALUES (?)", seq)
					if err != nil {
						return // the new database has no such table
					}
					acknowledged.Store(seq)
				}
			})
			testenv.Until(t, "there are writes", func() bool { return acknowledged.Load() > 20 })
			displacements[name](t, s)
			r := s.mustPush(source(t, "new"), swapper.PushOptions{Backup: true, SkipSchemaCheck: true})
			close(stop)
			wg.Wait()
			if r.BackupPath != s.path+"~" || s.stamp() != "new" {
				t.Fatalf("%+v, %s", r, s.stamp())
			}
			db, err := sql.Open("sqlite3", r.BackupPath)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var n int64
			if err := db.QueryRow("SELECT count(*) FROM acks").Scan(&n); err != nil || n != acknowledged.Load() {
				t.Errorf("%d of %d writes (%v)", n, acknowledged.Load(), err)
			}
			if stamps := stampsIn(t, r.BackupPath); stamps != "live" {
				t.Error(stamps)
			}
			db.Close()
			s.onlyFiles("live.sqlite3~")
		})
	}
}

// TestABackupOfARemovedFileOutlastsItsProcess, which is killed once it has swapped and
// before it has named the backup. Then the copy is all that there is.
func TestABackupOfARemovedFileOutlastsItsProcess(t *testing.T) {
	t.Parallel()
	const role = "HOTSWAP_TEST_REMOVED_VICTIM"
	if dir := os.Getenv(role); dir != "" {
		s := start(t, dir, "&_journal=WAL")
		s.exec("UPDATE items SET stamp = 'acknowledged'")
		displacements["removed with its log"](t, s)
		s.db.OnSwap(func(driver.Swap) {
			fmt.Println("swapped")
			select {}
		})
		t.Fatal(s.push(source(t, "new"), swapper.PushOptions{Backup: true}))
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), role+"="+dir, "TMPDIR="+t.TempDir()) // it removes nothing
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said, err := bufio.NewReader(out).ReadString('\n')
	if killErr := child.Process.Kill(); err != nil || killErr != nil || said != "swapped\n" {
		t.Errorf("%q, %v, %v", said, err, killErr)
	}
	child.Wait()
	live := filepath.Join(dir, "live.sqlite3")
	done, err := swapper.RemoveOrphans(live)
	if err != nil || done.Backup != live+"~" || len(done.Removed) > 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if old, now := stampsIn(t, done.Backup), stampsIn(t, live); old != "acknowledged" || now != "new" {
		t.Errorf("the backup has %s, the live database %s", old, now)
	}
}
