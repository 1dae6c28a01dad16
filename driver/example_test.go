package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sync"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/ngrok/sqlmw"

	"hotswap/driver"
	"hotswap/swapper"
)

// A program changes one word in sql.Open, and its database can be swapped.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := makePrices(dir, "app.sqlite3", 250)

	db, err := sql.Open("sqlite3-hotswap", "file:"+path+"?_journal=WAL&_txlock=immediate")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	fmt.Println(price(db))
	push(path, makePrices(dir, "next.sqlite3", 300))
	fmt.Println(price(db))
	// Output:
	// 250
	// 300
}

// priceCache keeps a price, and the generation of the database that it is from.
type priceCache struct {
	db    *sql.DB
	swaps *driver.Database

	mu         sync.Mutex // guards what follows
	cents      int
	generation uint64 // 0: nothing is kept
}

// price returns the price, from memory if it is of the database that is live. The
// generation is read before the query: a swap in between makes the entry older than it
// is, never newer.
func (c *priceCache) price() int {
	generation := c.swaps.Generation()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation != generation {
		c.cents, c.generation = price(c.db), generation
		fmt.Println("read from the database")
	}
	return c.cents
}

// drop forgets the price.
func (c *priceCache) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation = 0
}

// A cache tags what it keeps with the generation of the database that it was read
// from, so that it is never stale. OnSwap drops early what nobody will ask for again.
func ExampleDatabase_OnSwap() {
	db, path, end := openPrices("sqlite3-hotswap", 250)
	defer end()

	swaps, ok := driver.Lookup(path)
	if !ok {
		log.Fatal(path, " is not managed")
	}
	cache := &priceCache{db: db, swaps: swaps}
	cancel := swaps.OnSwap(func(s driver.Swap) {
		fmt.Println("swapped: generation", s.Generation)
		cache.drop()
	})
	defer cancel()

	fmt.Println(cache.price())
	fmt.Println(cache.price())
	push(path, makePrices(filepath.Dir(path), "next.sqlite3", 300))
	fmt.Println(cache.price())
	// Output:
	// read from the database
	// 250
	// 250
	// swapped: generation 2
	// read from the database
	// 300
}

// A connect hook gives each connection what is in no file: functions, PRAGMA settings,
// attached databases. It runs again when a connection reopens after a swap, and before
// that on the new database, which is refused if the hook fails.
func ExampleWithConnectHook() {
	sql.Register("example-hook", driver.New(driver.WithConnectHook(func(conn *sqlite3.SQLiteConn) error {
		return conn.RegisterFunc("euros", func(cents int64) string {
			return fmt.Sprintf("%d.%02d EUR", cents/100, cents%100)
		}, true)
	})))
	db, path, end := openPrices("example-hook", 250)
	defer end()

	push(path, makePrices(filepath.Dir(path), "next.sqlite3", 305))
	var text string
	if err := db.QueryRow("SELECT euros(cents) FROM price").Scan(&text); err != nil {
		log.Fatal(err)
	}
	fmt.Println(text)
	// Output:
	// 3.05 EUR
}

// slowest remembers the slowest query. What it leaves out, the NullInterceptor passes
// on.
type slowest struct {
	sqlmw.NullInterceptor

	mu    sync.Mutex // guards what follows
	query string
	took  time.Duration
}

func (s *slowest) ConnQueryContext(ctx context.Context, conn sqldriver.QueryerContext, query string, args []sqldriver.NamedValue) (context.Context, sqldriver.Rows, error) {
	start := time.Now()
	rows, err := conn.QueryContext(ctx, query, args)
	s.mu.Lock()
	defer s.mu.Unlock()
	if took := time.Since(start); took >= s.took {
		s.query, s.took = query, took
	}
	return ctx, rows, err
}

// An sqlmw interceptor sees every call. The time that a call takes includes its wait for
// a swap.
func ExampleWithInterceptor() {
	meter := &slowest{}
	sql.Register("example-sqlmw", driver.New(driver.WithInterceptor(meter)))
	db, _, end := openPrices("example-sqlmw", 250)
	defer end()

	fmt.Println(price(db))
	fmt.Println("slowest:", meter.query)
	// Output:
	// 250
	// slowest: SELECT cents FROM price
}

// makePrices makes a database with a price in it.
func makePrices(dir, name string, cents int) (path string) {
	path = filepath.Join(dir, name)
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE price (cents INTEGER); INSERT INTO price VALUES (?)", cents); err != nil {
		log.Fatal(err)
	}
	return path
}

// openPrices opens a new database with a price in it. end closes the pool and removes the
// database.
func openPrices(driverName string, cents int) (db *sql.DB, path string, end func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	path = makePrices(dir, "app.sqlite3", cents)
	db, err = sql.Open(driverName, path)
	if err != nil {
		log.Fatal(err)
	}
	return db, path, func() {
		db.Close()
		os.RemoveAll(dir)
	}
}

func price(db *sql.DB) (cents int) {
	if err := db.QueryRow("SELECT cents FROM price").Scan(&cents); err != nil {
		log.Fatal(err)
	}
	return cents
}

// push does what hotswap cp does, from within the program.
func push(path, next string) {
	database, ok := driver.Lookup(path)
	if !ok {
		log.Fatal(path, " is not managed")
	}
	source, err := os.Open(next)
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	if _, err := swapper.Push(context.Background(), database, source, swapper.PushOptions{}); err != nil {
		log.Fatal(err)
	}
}
