package driver_test

import (
	"context"
	"database/sql"
	"os"
	"syscall"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// fillDescriptors opens files until there is no descriptor left.
func fillDescriptors(t *testing.T) {
	t.Helper()
	for {
		fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err == syscall.EMFILE {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
	}
}

func TestClientsWhoArriveWhileTheGateIsClosedTakeNoDescriptorOfAConnection(t *testing.T) {
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			db, d := open(t, "&_journal="+journal, 3)
			if _, err := db.Exec("PRAGMA journal_mode=" + journal); err != nil {
				t.Fatal(err)
			}
			const connections = 20
			db.SetMaxIdleConns(connections)
			var conns []*sql.Conn
			for range connections {
				conn := connect(t, db)
				mustExec(t, conn, "UPDATE t SET v = v") // its files are open
				conns = append(conns, conn)
			}
			mustFreeze(t, d, driver.FreezeOptions{}).Thaw() // whatever else is opened once now is
			for _, conn := range conns {
				mustExec(t, conn, "UPDATE t SET v = v")
			}

			var limit syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
				t.Fatal(err)
			}
			low := limit
			low.Cur = 200
			if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
				t.Fatal(err)
			}
			defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
			fillDescriptors(t)
			f, err := d.Freeze(t.Context(), driver.FreezeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			fillDescriptors(t)
			f.Replaced()
			f.Thaw()
			for i, conn := range conns {
				var n int
				if err := conn.QueryRowContext(context.Background(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != 3 {
					t.Errorf("connection %d: %d rows, %v", i, n, err)
				}
			}
		})
	}
}

func TestConnectionsThatAreClosedInAFreezeGiveTheirDescriptorsBack(t *testing.T) {
	count := func() int {
		t.Helper()
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			testenv.Skip(t, "it counts descriptors: %v", err)
		}
		return len(names)
	}
	db, d := open(t, "", 3)
	conns := []*sql.Conn{connect(t, db), connect(t, db), connect(t, db)}
	mustFreeze(t, d, driver.FreezeOptions{}).Thaw()
	for _, conn := range conns {
		mustExec(t, conn, "UPDATE t SET v = v")
	}
	open := count()
	f := mustFreeze(t, d, driver.FreezeOptions{})
	db.SetMaxIdleConns(0)
	for _, conn := range conns {
		conn.Close()
	}
	f.Thaw()
	if n := count(); n > open-6 {
		t.Errorf("%d descriptors are open, and were %d", n, open)
	}
}
