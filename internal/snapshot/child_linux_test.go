package snapshot

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		beChild(path, os.Getenv(childJournal), os.Getenv(childFails) != "")
		return
	}
	m.Run()
}

// beChild is another process that uses the database until its stdin ends.
func beChild(path, journal string, fails bool) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	if fails {
		for _, call := range []uintptr{unix.SYS_FSYNC, unix.SYS_FDATASYNC} {
			must(testenv.Forbid(call, unix.EIO))
		}
		group.Go(func() { failToCommit(ctx, path, journal) })
	} else {
		disturb(ctx, &group, path, setting{journal: journal}, rand.Int63(), 1, new(atomic.Int64))
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	cancel()
	group.Wait()
}

// failToCommit has all that it commits written whole, and refused by the disk.
func failToCommit(ctx context.Context, path, journal string) {
	db, err := sql.Open("sqlite3", dsn(path, journal)+"&_sync=FULL")
	must(err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.Exec("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0")
	must(err)
	r := rand.New(rand.NewSource(1))
	for ctx.Err() == nil {
		n, err := write(db, r)
		if err == nil && n > 0 {
			panic("a commit succeeded though its fsync failed")
		}
		pause(r, 6000)
	}
}
