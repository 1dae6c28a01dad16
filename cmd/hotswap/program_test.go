package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"hotswap/driver"
	"hotswap/sockserver"
)

// serverMain is a program with managed databases, until its stdin ends.
func serverMain() error {
	var cfg sockserver.Config
	flag.DurationVar(&cfg.Timeout, "timeout", 0, "")
	flag.DurationVar(&cfg.MaxPause, "max-pause", 0, "")
	hold := flag.Bool("hold", false, "keep a transaction open")
	allow := flag.Int("allow", -1, "a user to let in")
	pattern := flag.String("pattern", "", "Config.DatabasePaths")
	refuse := flag.String("refuse", "", "what Validate says")
	validating := flag.Bool("stop-in-validate", false, "pass the FIFOs entered and leave in Validate")
	swapping := flag.Bool("stop-after-swap", false, "pass the FIFOs entered and leave in OnSwap")
	noStderr := flag.Bool("no-stderr", false, "remove the stderr socket")
	flag.Parse()
	if *allow >= 0 {
		cfg.AllowUIDs = []uint32{uint32(*allow)}
	}
	if *pattern != "" {
		cfg.DatabasePaths = []string{*pattern}
	}
	cfg.Validate = func(ctx context.Context, _ *sql.DB) error {
		if *validating {
			if err := passFIFOs(ctx); err != nil {
				return err
			}
		}
		if *refuse != "" {
			return errors.New(*refuse)
		}
		return nil
	}
	for _, path := range flag.Args() {
		db, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
		if err != nil {
			return err
		}
		defer db.Close()
		if err := db.Ping(); err != nil {
			return err
		}
		if *hold {
			tx, err := db.Begin()
			if err != nil {
				return err
			}
			defer tx.Rollback()
			if _, err := tx.Exec("INSERT INTO t VALUES (1000, 'held')"); err != nil {
				return err
			}
		}
		if managed, ok := driver.Lookup(path); ok && *swapping {
			managed.OnSwap(func(driver.Swap) { passFIFOs(context.Background()) })
		}
	}
	server, err := sockserver.Start(cfg)
	if err != nil {
		return err
	}
	if *noStderr {
		if err := os.Remove(server.StderrSocketPath()); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return server.Close()
}

// passFIFOs tells the script that it is there, and waits for it.
func passFIFOs(ctx context.Context) error {
	if err := os.WriteFile("entered", []byte("entered\n"), 0); err != nil {
		return err
	}
	left := make(chan error, 1)
	go func() {
		_, err := os.ReadFile("leave")
		left <- err
	}()
	select {
	case err := <-left:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
