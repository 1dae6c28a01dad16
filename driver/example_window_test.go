package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"

	"hotswap/driver"
)

// A maintenance window: calls wait, no connection is open, and the WAL is in the file, so
// that a plain copy of the file is a whole database.
func ExampleDatabase_Freeze() {
	db, path, end := openPrices("sqlite3-hotswap", 250)
	defer end()
	if _, err := db.Exec("PRAGMA journal_mode = WAL; UPDATE price SET cents = 275"); err != nil {
		log.Fatal(err)
	}

	database, ok := driver.Lookup(path)
	if !ok {
		log.Fatal(path, " is not managed")
	}
	frozen, err := database.Freeze(context.Background(), driver.FreezeOptions{MaxPause: 100 * time.Millisecond})
	if err != nil {
		log.Fatal(err) // a *driver.HeldError says who kept it waiting
	}
	fmt.Println(frozen.Connections, "connection closed")
	content, err := os.ReadFile(path)
	frozen.Thaw()
	if err != nil {
		log.Fatal(err)
	}

	copied := filepath.Join(filepath.Dir(path), "copy.sqlite3")
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		log.Fatal(err)
	}
	other, err := sql.Open("sqlite3", copied)
	if err != nil {
		log.Fatal(err)
	}
	defer other.Close()
	fmt.Println(price(other), price(db))
	// Output:
	// 1 connection closed
	// 275 275
}

// A window of one database does not close connections of another that has it attached.
// A program that replaces the file in the window freezes those databases, too, as a push
// does.
func ExampleDatabase_Attachers() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	prices := makePrices(dir, "prices.sqlite3", 250)
	shop := filepath.Join(dir, "shop.sqlite3")

	db, err := sql.Open("sqlite3-hotswap", shop)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("ATTACH ? AS prices", prices); err != nil {
		log.Fatal(err)
	}
	_, release, err := driver.Manage(prices) // no pool has it
	if err != nil {
		log.Fatal(err)
	}
	defer release()

	database, ok := driver.Lookup(prices)
	if !ok {
		log.Fatal(prices, " is not managed")
	}
	for _, other := range database.Attachers() {
		fmt.Println(filepath.Base(other.Path()))
	}
	// Output:
	// shop.sqlite3
}

// A file that no pool of the program has open yet is managed for as long as the caller
// wants: it can be pushed to and pulled from.
func ExampleManage() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	database, release, err := driver.Manage(filepath.Join(dir, "new.sqlite3"))
	if err != nil {
		log.Fatal(err)
	}
	defer release()
	fmt.Println(filepath.Base(database.Path()), database.Generation(), len(driver.Databases()))
	// Output:
	// new.sqlite3 1 1
}

// Raw reaches what database/sql does not cover.
func ExampleRaw() {
	db, _, end := openPrices("sqlite3-hotswap", 250)
	defer end()
	conn, err := db.Conn(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	err = driver.Raw(conn, func(c *sqlite3.SQLiteConn) error {
		fmt.Println("attached databases, at most:", c.GetLimit(sqlite3.SQLITE_LIMIT_ATTACHED))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// attached databases, at most: 10
}

// A query log has texts and durations, and no arguments.
func ExampleQueryLog() {
	console := zerolog.ConsoleWriter{Out: os.Stdout, NoColor: true,
		PartsExclude: []string{zerolog.TimestampFieldName}, FieldsExclude: []string{"took"}}
	sql.Register("example-log", driver.New(driver.WithInterceptor(
		driver.QueryLog(zerolog.New(console), 100*time.Millisecond))))
	db, _, end := openPrices("example-log", 250)
	defer end()
	if _, err := db.Exec("UPDATE price SET cents = ?", 275); err != nil {
		log.Fatal(err)
	}
	// Output:
	// DBG query op=exec query="UPDATE price SET cents = ?"
}
