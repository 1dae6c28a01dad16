package guides

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/sockserver"
	"hotswap/sockserver/metrics"
)

// programMain is "program DB...": a program with managed databases, until it is
// told to end.
func programMain() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for _, path := range os.Args[1:] {
		db, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
		if err == nil {
			err = db.Ping()
		}
		if err != nil {
			fail(1, "%v", err)
		}
		defer db.Close()
	}
	server, err := sockserver.Start(sockserver.Config{Metrics: metrics.New(), Logger: zerolog.New(os.Stderr).With().Timestamp().Logger()})
	if err != nil {
		fail(1, "%v", err)
	}
	defer server.Close()
	<-ctx.Done()
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
