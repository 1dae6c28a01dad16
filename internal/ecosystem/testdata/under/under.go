// Package under gives a library's tests the driver that they are to run on, under the
// name of go-sqlite3's, which must not have taken that itself (see its driverName).
package under

import (
	"context"
	"database/sql"
	"io"
	"os"
	"path/filepath"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"

	"hotswap/driver"
)

func init() {
	switch mode := os.Getenv("HOTSWAP_ECOSYSTEM"); mode {
	case "raw":
		sql.Register("sqlite3", &sqlite3.SQLiteDriver{})
	case "ours", "swaps":
		sql.Register("sqlite3", driver.New(driver.WithLogger(zerolog.Nop())))
		if mode == "swaps" {
			count, err := os.OpenFile(os.Getenv("HOTSWAP_ECOSYSTEM_COUNT"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
			if err != nil {
				panic(err)
			}
			go swapAll(count)
		}
	default:
		panic("HOTSWAP_ECOSYSTEM is " + mode)
	}
}

// swapAll swaps each database about every millisecond, for a copy of itself, and counts
// that by one byte each.
func swapAll(count io.Writer) {
	for {
		time.Sleep(time.Millisecond)
		for _, d := range driver.Databases() {
			if swap(d) {
				count.Write([]byte{'.'})
			}
		}
	}
}

func swap(d *driver.Database) bool {
	if len(d.Attachers()) > 0 {
		return false // which have the file open, and would not be drained
	}
	frozen, err := d.Freeze(context.Background(), driver.FreezeOptions{Timeout: 5 * time.Millisecond})
	if err != nil {
		return false
	}
	defer frozen.Thaw()
	for _, suffix := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(d.Path() + suffix); err == nil && info.Size() > 0 {
			return false
		}
	}
	next := filepath.Join(filepath.Dir(d.Path()), ".swap-"+filepath.Base(d.Path()))
	if copyFile(next, d.Path()) != nil || os.Rename(next, d.Path()) != nil {
		os.Remove(next)
		return false
	}
	frozen.Replaced()
	return true
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
