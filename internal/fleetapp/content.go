package fleetapp

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"

	_ "github.com/mattn/go-sqlite3" // for files that nobody has open
)

// Content is what a version's file holds.
type Content struct {
	Version uint64
	// Rows is how many items there are, each with a picture of 400 bytes; they stay from
	// version to version.
	Rows int
	// Bad makes a version that is whole, and of no use: a price is negative.
	Bad bool
}

// mostPrices is how many items have a price: all of those are read in each call.
const mostPrices = 2000

// Make makes the file of a first version.
func Make(ctx context.Context, path string, c Content) error {
	return write(ctx, path, c,
		`CREATE TABLE catalog (version INTEGER NOT NULL, total INTEGER NOT NULL)`,
		`INSERT INTO catalog VALUES (0, 0)`,
		`CREATE TABLE picture (item INTEGER PRIMARY KEY, data BLOB NOT NULL)`,
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n WHERE i < %d)
			INSERT INTO picture SELECT i, randomblob(400) FROM n`, c.Rows),
		`CREATE TABLE price (item INTEGER PRIMARY KEY, price INTEGER NOT NULL)`,
		fmt.Sprintf(`INSERT INTO price SELECT item, 100 + item %% 900 FROM picture WHERE item <= %d`, mostPrices))
}

// Next makes the file of a version from that of another one: about one item in a hundred is
// another.
func Next(ctx context.Context, from, to string, c Content) error {
	if err := copyFile(from, to); err != nil {
		return err
	}
	return write(ctx, to, c,
		fmt.Sprintf(`UPDATE picture SET data = randomblob(400) WHERE item / 100 %% 100 = %d`, c.Version%100),
		fmt.Sprintf(`UPDATE price SET price = 100 + (abs(price) + %d) %% 900`, c.Version))
}

// write changes a file, and then what it says of itself.
func write(ctx context.Context, path string, c Content, statements ...string) error {
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal=DELETE")
	if err != nil {
		return err
	}
	defer db.Close()
	price := "abs(price)"
	if c.Bad {
		price = "-abs(price)"
	}
	for _, statement := range append(statements, `UPDATE price SET price = `+price+` WHERE item = 1`,
		fmt.Sprintf(`UPDATE catalog SET version = %d, total = (SELECT sum(price) FROM price)`, c.Version)) {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("make version %d in %s: %w", c.Version, path, err)
		}
	}
	return db.Close()
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closed := out.Close(); err == nil {
		err = closed
	}
	return err
}

// Sparse makes the file of a version from that of another one: one item in so many is another,
// each in a page of its own if those are more than a page holds.
func Sparse(ctx context.Context, from, to string, version uint64, one int) error {
	if err := copyFile(from, to); err != nil {
		return err
	}
	return write(ctx, to, Content{Version: version}, fmt.Sprintf(`UPDATE picture SET data = randomblob(400) WHERE item %% %d = %d`, one, version))
}
