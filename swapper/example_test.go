package swapper_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"hotswap/driver"
	"hotswap/swapper"
)

// A program replaces its own database with one that it has downloaded, say. Its pool
// stays open, and its next query reads the new one.
func ExamplePush() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "prices.sqlite3")

	pool, err := sql.Open("sqlite3-hotswap", path)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec("CREATE TABLE prices (item TEXT, cents INTEGER); INSERT INTO prices VALUES ('tea', 250)"); err != nil {
		log.Fatal(err)
	}

	// What is pushed is any whole SQLite database of the same schema.
	next := filepath.Join(dir, "next.sqlite3")
	maker, err := sql.Open("sqlite3", next)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := maker.Exec("CREATE TABLE prices (item TEXT, cents INTEGER); INSERT INTO prices VALUES ('tea', 300)"); err != nil {
		log.Fatal(err)
	}
	if err := maker.Close(); err != nil {
		log.Fatal(err)
	}
	src, err := os.Open(next)
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()

	db, ok := driver.Lookup(path)
	if !ok {
		log.Fatal("the program does not use ", path)
	}
	report, err := swapper.Push(context.Background(), db, src, swapper.PushOptions{
		Source: next,
		Backup: true,
		Validate: func(ctx context.Context, staged *sql.DB) error {
			var free int
			if err := staged.QueryRowContext(ctx, "SELECT count(*) FROM prices WHERE cents <= 0").Scan(&free); err != nil {
				return err
			}
			if free > 0 {
				return fmt.Errorf("%d items are free", free)
			}
			return nil
		},
	})
	switch {
	case errors.Is(err, swapper.ErrBusy):
		log.Fatal("try again later: ", err)
	case err != nil:
		log.Fatal(err)
	}

	var cents int
	if err := pool.QueryRow("SELECT cents FROM prices WHERE item = 'tea'").Scan(&cents); err != nil {
		log.Fatal(err)
	}
	fmt.Println("swapped:", report.Swapped)
	fmt.Println("the old one:", filepath.Base(report.BackupPath))
	fmt.Println("tea:", cents)
	// Output:
	// swapped: true
	// the old one: prices.sqlite3~
	// tea: 300
}

// A program writes a consistent copy of its database to a file while it goes on
// working. The copy takes its name once it is complete.
func ExamplePull() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "prices.sqlite3")

	pool, err := sql.Open("sqlite3-hotswap", "file:"+path+"?_journal=WAL")
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec("CREATE TABLE prices (item TEXT, cents INTEGER); INSERT INTO prices VALUES ('tea', 250)"); err != nil {
		log.Fatal(err)
	}

	dst, err := os.CreateTemp(dir, "copy-*")
	if err != nil {
		log.Fatal(err)
	}
	db, ok := driver.Lookup(path)
	if !ok {
		log.Fatal("the program does not use ", path)
	}
	report, err := swapper.Pull(context.Background(), db, dst, swapper.PullOptions{Dest: dst.Name(), Check: true})
	if err == nil {
		err = errors.Join(dst.Sync(), dst.Close())
	}
	if err == nil {
		err = os.Rename(dst.Name(), filepath.Join(dir, "copy.sqlite3"))
	}
	if err != nil {
		os.Remove(dst.Name()) // what was written of it is not a database
		log.Fatal(err)
	}

	info, err := os.Stat(filepath.Join(dir, "copy.sqlite3"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("complete:", info.Size() == report.Bytes)
	// Output:
	// complete: true
}

// Everything that takes time is done ahead, and the new database goes live when the
// others are ready, too.
func ExampleStage() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path, next := filepath.Join(dir, "prices.sqlite3"), filepath.Join(dir, "next.sqlite3")
	for _, file := range []string{path, next} {
		maker, err := sql.Open("sqlite3", file)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := maker.Exec("CREATE TABLE prices (file TEXT); INSERT INTO prices VALUES (?)", filepath.Base(file)); err != nil {
			log.Fatal(err)
		}
		if err := maker.Close(); err != nil {
			log.Fatal(err)
		}
	}
	pool, err := sql.Open("sqlite3-hotswap", path)
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if err := pool.Ping(); err != nil {
		log.Fatal(err)
	}
	live := func() (name string) {
		if err := pool.QueryRow("SELECT file FROM prices").Scan(&name); err != nil {
			log.Fatal(err)
		}
		return name
	}

	src, err := os.Open(next)
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	db, _ := driver.Lookup(path)
	ctx := context.Background()
	staged, _, err := swapper.Stage(ctx, db, src, swapper.PushOptions{Source: next})
	if err != nil {
		log.Fatal(err)
	}
	defer staged.Discard() // a no-op once it is live
	fmt.Println(live())

	report, err := staged.Swap(ctx)
	for errors.Is(err, swapper.ErrBusy) {
		report, err = staged.Swap(ctx) // it is still there
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(live(), report.Swapped)
	// Output:
	// prices.sqlite3
	// next.sqlite3 true
}
