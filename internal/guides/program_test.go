package guides

import (
	"bufio"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/sockserver"
	"hotswap/sockserver/metrics"
)

// programMain is "program [-load] DB...": a program with managed databases, until it is
// told to end. With -load its callers read and write the first one all the time.
func programMain() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	load := flag.Bool("load", false, "")
	flag.Parse()
	for i, path := range flag.Args() {
		db, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
		if err == nil {
			err = db.Ping()
		}
		if err != nil {
			fail(1, "%v", err)
		}
		defer db.Close()
		if *load && i == 0 {
			var callers sync.WaitGroup
			defer callers.Wait()
			for range 4 {
				callers.Go(func() { callOn(ctx, db) })
			}
		}
	}
	server, err := sockserver.Start(sockserver.Config{Metrics: metrics.New(), Logger: zerolog.New(os.Stderr).With().Timestamp().Logger()})
	if err != nil {
		fail(1, "%v", err)
	}
	defer server.Close()
	<-ctx.Done()
}

// callOn reads and writes rows as they are until ctx ends, and says which call failed.
func callOn(ctx context.Context, db *sql.DB) {
	for range time.Tick(time.Millisecond) {
		if ctx.Err() != nil {
			return
		}
		var items int
		err := db.QueryRow("SELECT count(*) FROM item").Scan(&items)
		if err == nil {
			_, err = db.Exec("UPDATE item SET name = name WHERE id = 1")
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "a call failed:", err)
		}
	}
}

// readerMain is "reader DB": another process with a database.
func readerMain() { readOn(os.Args[1]) }

// readOn reads a database and does not stop reading, until its input ends.
func readOn(path string) {
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		fail(1, "%v", err)
	}
	rows, err := db.Query("SELECT name FROM item UNION ALL SELECT name FROM item")
	if err != nil || !rows.Next() {
		fail(1, "read %s: %v", path, err)
	}
	fmt.Println("reading")
	bufio.NewReader(os.Stdin).ReadString(0)
}
