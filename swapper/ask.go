package swapper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// prepare runs the program's Prepare on the stage, in rollback-journal mode at the end,
// so that everything it wrote is in the one file.
func (s *stage) prepare(ctx context.Context, db *driver.Database, fn func(context.Context, *sql.DB) error) error {
	pool := inside.Of(db).OpenFile(s.path, true, "mode=rw")
	defer pool.Close()
	if err := ask(ctx, pool, fn); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &failure{text: "the program's Prepare refused the source", cause: err, kinds: []error{ErrBadDatabase}}
	}
	if err := nothingOpen(pool, "Prepare"); err != nil {
		return err
	}
	var mode string
	if err := pool.QueryRowContext(ctx, "PRAGMA main.journal_mode=DELETE").Scan(&mode); err != nil {
		return badIfCorrupt(ctx, "leave WAL mode after Prepare", unopenable, err)
	}
	if mode != "delete" {
		return failed("leave WAL mode after Prepare", fmt.Errorf("journal mode is %q", mode))
	}
	if err := pool.Close(); err != nil {
		return failed("close the stage after Prepare", err)
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return failed("inspect the stage after Prepare", err)
	}
	s.size = info.Size()
	return s.assertAlone()
}

// validate runs the program's Validate on the stage.
func validate(ctx context.Context, pool *sql.DB, fn func(context.Context, *sql.DB) error) error {
	if err := ask(ctx, pool, fn); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &failure{text: "the program's Validate refused the source", cause: err, kinds: []error{ErrBadDatabase}}
	}
	return nothingOpen(pool, "Validate")
}

// ask calls a function of the program's, on a goroutine of its own: a while after ctx has
// ended it is not waited for any more.
func ask(ctx context.Context, pool *sql.DB, fn func(context.Context, *sql.DB) error) error {
	type answer struct {
		err      error
		panicked any
	}
	answered := make(chan answer, 1)
	go func() {
		a := answer{err: errors.New("it ended its goroutine (runtime.Goexit)")}
		defer func() {
			a.panicked = recover()
			answered <- a
		}()
		a.err = fn(ctx, pool)
	}()
	var a answer
	select {
	case a = <-answered:
	case <-ctx.Done():
		select {
		case a = <-answered:
		case <-time.After(leftOpenGrace):
			return ctx.Err()
		}
	}
	if a.panicked != nil {
		panic(a.panicked) // as it would on this goroutine
	}
	return a.err
}

// leftOpenGrace is how long whatever ends with a context, on another goroutine, may take
// to end.
const leftOpenGrace = 100 * time.Millisecond

// nothingOpen refuses a push whose function left something of the pool open: its one
// connection is needed next, or would be carried over to the live path by the rename.
func nothingOpen(pool *sql.DB, function string) error {
	for began := time.Now(); pool.Stats().InUse > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > leftOpenGrace {
			return &failure{text: "the program's " + function + " left Rows, a transaction or a connection open", kinds: []error{ErrBadDatabase},
				hint: "close them before it returns"}
		}
	}
	return nil
}
