package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	"hotswap/internal/scan"
)

// BenchmarkCheck runs the integrity check alone: as a push runs it on its stage,
// that is quick_check and a scan of tables and indexes; SQLite's own, also split over
// two connections; and in SQLite's shell.
func BenchmarkCheck(b *testing.B) {
	for _, mb := range sampleSizes() {
		b.Run(fmt.Sprintf("size=%dMB", mb), func(b *testing.B) {
			path := sample(b, mb)
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			mapped := "?mode=rw&nolock=1&_query_only=1"
			ours := func(params string, mmap int64, pragma string) func() error {
				return func() error {
					pragmas := make(chan string, 1)
					pragmas <- pragma
					close(pragmas)
					return checkOn("file:"+path+params, mmap, pragmas)
				}
			}
			ways := []contender{
				{"scanned", func() error { return checkScanned(path, mapped, info.Size()) }},
				{"sqlite", ours(mapped, info.Size(), "integrity_check")},
				{"not-mapped", ours(mapped+"&_cache_size=-65536", 0, "integrity_check")},
				{"sqlite-quick", ours(mapped, info.Size(), "quick_check")},
				{"split-tables", func() error { return checkSplit("file:"+path+mapped, info.Size(), false) }},
				{"split-whole", func() error { return checkSplit("file:"+path+mapped, info.Size(), true) }},
			}
			if shell(b) {
				for _, pragma := range []string{"integrity_check", "quick_check"} {
					ways = append(ways, contender{"shell-" + pragma, func() error {
						return command("sqlite3", "-bail", path, "PRAGMA "+pragma)
					}})
				}
			}
			compare(b, ways, path)
		})
	}
}

// checkOn runs checks on a pool of one connection, as a push opens it.
func checkOn(dsn string, mmap int64, pragmas <-chan string) error {
	db, err := openMapped(dsn, mmap)
	if err != nil {
		return err
	}
	defer db.Close()
	for pragma := range pragmas {
		if err := check(db, pragma); err != nil {
			return err
		}
	}
	return nil
}

// checkAlone is one check of SQLite's as a push runs it, and nothing else.
func checkAlone(path, pragma string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	pragmas := make(chan string, 1)
	pragmas <- pragma
	close(pragmas)
	return checkOn("file:"+path+"?mode=rw&nolock=1&_query_only=1", info.Size(), pragmas)
}

func openMapped(dsn string, mmap int64) (*sql.DB, error) {
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(fmt.Sprintf("PRAGMA mmap_size=%d", mmap)); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

func check(db *sql.DB, pragma string) error {
	var result string
	if err := db.QueryRow("PRAGMA " + pragma).Scan(&result); err != nil {
		return err
	}
	if result != "ok" {
		return errors.New(result)
	}
	return nil
}

func checkScanned(path, params string, mmap int64) error {
	ctx := context.Background()
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	db, err := openMapped("file:"+path+params, mmap)
	if err != nil {
		return err
	}
	defer db.Close()
	plan, err := scan.NewPlan(ctx, db, true)
	if err != nil {
		return err
	}
	content, err := scan.Open(file)
	if err != nil {
		return err
	}
	if err := check(db, "quick_check"); err != nil {
		return err
	}
	undecided, err := plan.Undecided(ctx, content)
	if err == nil && len(undecided) > 0 {
		err = fmt.Errorf("undecided: %q", undecided)
	}
	return err
}

// checkSplit lets two connections take one check after the other. A check of a
// table by its name looks neither at the freelist nor for pages that nothing
// refers to: only with quick_check, which looks at these but at no index's
// content, do they amount to the whole of integrity_check.
func checkSplit(dsn string, mmap int64, whole bool) error {
	pragmas := make(chan string, sampleTables+1)
	if whole {
		pragmas <- "quick_check"
	}
	for t := range sampleTables {
		pragmas <- fmt.Sprintf("integrity_check(t%d)", t)
	}
	close(pragmas)
	var group sync.WaitGroup
	var errs [2]error
	for c := range errs {
		group.Go(func() { errs[c] = checkOn(dsn, mmap, pragmas) })
	}
	group.Wait()
	return errors.Join(errs[:]...)
}
