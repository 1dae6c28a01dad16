package sockserver

import (
	"os/exec"
	"testing"

	"hotswap/internal/testenv"
)

// TestTheStatusNamesTheProcessWhoseLockACallWaitsFor, not only the call.
func TestTheStatusNamesTheProcessWhoseLockACallWaitsFor(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		testenv.Skip(t, "needs sqlite3")
	}
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			db := openDatabase(t, dir+"/db", 1)
			if _, err := db.Exec("PRAGMA journal_mode=" + mode + "; PRAGMA busy_timeout=60000"); err != nil {
				t.Fatal(err)
			}
			s := startServer(t, dir, Config{}, nil)
			other := testenv.Start(t, exec.Command(shell, dir+"/db"))
			if _, err := other.In.Write([]byte("BEGIN IMMEDIATE; SELECT 'locked';\n")); err != nil {
				t.Fatal(err)
			}
			other.Line()
			waits := make(chan error, 1)
			go func() {
				_, err := db.Exec("CREATE TABLE more (v)")
				waits <- err
			}()
			client := newTestClient(t, s)
			testenv.Until(t, "the other process is named", func() bool {
				list, err := client.Databases(t.Context(), dir+"/db")
				return err == nil && list[0].LockedBy != nil && list[0].LockedBy.PID == other.Process.Pid && list[0].LockedBy.Command == "sqlite3"
			})
			if err := other.End(); err != nil {
				t.Error(err)
			}
			if err := <-waits; err != nil {
				t.Error(err)
			}
			list, err := client.Databases(t.Context(), dir+"/db")
			if err != nil || list[0].LockedBy != nil {
				t.Errorf("%v, %v", list, err)
			}
		})
	}
}
