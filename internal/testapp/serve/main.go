// Command testapp runs a small service on a SQLite database that can be
// swapped under it:
//
//	go run ./internal/testapp/serve --db tmp/shop.db --readers 4 --writers 2 &
//	go run ./cmd/hotswap cp tmp/shop.db copy.db
//
// It stops on an interrupt.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"hotswap/internal/testapp"

	"github.com/alecthomas/kong"
	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
)

// flags are the command line.
type flags struct {
	Addr         string        `default:"127.0.0.1:8080" help:"TCP address of the HTTP server."`
	DB           string        `default:"tmp/testapp.db" type:"path" help:"The database. It is made, of 4 MB, if it does not exist."`
	JournalMode  string        `default:"wal" enum:"wal,delete,leave" help:"wal, delete, or leave it as it is."`
	Socket       string        `help:"Socket for hotswap cp."`
	StderrSocket string        `help:"Socket for what hotswap cp prints."`
	Readers      int           `help:"HTTP clients that read, for a load."`
	Writers      int           `help:"HTTP clients that write."`
	Think        time.Duration `default:"5ms" help:"How long a client waits between two calls."`
	Grace        time.Duration `default:"10s" help:"How long to wait for the calls under way when stopping."`
	Verbose      bool          `short:"v" help:"Log more."`
}

func main() {
	var f flags
	kong.Parse(&f, kong.Name("testapp"), kong.Description("A small service on a SQLite database that can be swapped under it."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f); err != nil {
		fmt.Fprintln(os.Stderr, "testapp:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, f flags) error {
	level := zerolog.InfoLevel
	if f.Verbose {
		level = zerolog.DebugLevel
	}
	zerolog.TimeFieldFormat = time.RFC3339Nano // pauses are of milliseconds
	log := zerolog.New(zerolog.ConsoleWriter{
		Out:        os.Stderr,
		NoColor:    !isatty.IsTerminal(os.Stderr.Fd()),
		TimeFormat: "15:04:05.000",
	}).Level(level).With().Timestamp().Logger()
	if _, err := os.Stat(f.DB); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(f.DB), 0o755); err != nil {
			return err
		}
		if err := (testapp.Fixture{}).Make(ctx, f.DB, 1); err != nil {
			return err
		}
	}
	cfg := testapp.Config{
		Path:   f.DB,
		Addr:   f.Addr,
		Socket: &testapp.Socket{Path: f.Socket, StderrPath: f.StderrSocket},
		Logger: log,
	}
	if f.JournalMode != "leave" {
		cfg.JournalMode = f.JournalMode
	}
	svc, err := testapp.Start(ctx, cfg)
	if err != nil {
		return err
	}
	load := svc.StartLoad(testapp.LoadConfig{Readers: f.Readers, Writers: f.Writers, Think: f.Think})
	<-ctx.Done()
	load.Stop()
	total := svc.Meter().Total()
	log.Info().Uint64("served", total.Served).Uint64("failed", total.Failed).Stringer("longest", total.Longest).Msg("stopping")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.Grace)
	defer cancel()
	return svc.Close(grace)
}
