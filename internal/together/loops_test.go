package together

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

const readStamps = "SELECT (SELECT g FROM meta), min(stamp), max(stamp), count(*) FROM items"

// loop makes calls of a kind until the end. With a rollback journal SQLite lets nobody
// write into a file that has lost its name, which a transaction then gets to know.
func (p *program) loop(call func() error) {
	p.done.Go(func() {
		for {
			select {
			case <-p.stop:
				return
			case <-time.After(p.Pause):
			}
			err := call()
			if se := (sqlite3.Error{}); p.Moved && errors.As(err, &se) && se.Code == sqlite3.ErrReadonly {
				continue
			}
			if err != nil {
				p.tell("failed", err.Error(), now())
			}
		}
	})
}

// now is a time that is the same in all processes, and never set.
func now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// tell appends a line: what, of what, and from when to when.
func (p *program) tell(what, text string, began time.Duration) {
	fmt.Fprintf(p.history, "%s %d %d %s\n", what, began, now(), strings.ReplaceAll(text, "\n", " "))
}

func (p *program) see(query func(...any) *sql.Row) error {
	began := now()
	var g, lowest, highest string
	var n int
	if err := query().Scan(&g, &lowest, &highest, &n); err != nil {
		return err
	}
	p.tell("saw", fmt.Sprint(g, " ", lowest, " ", highest, " ", n), began)
	return nil
}

func (p *program) read() error {
	began := now()
	var g, lowest, highest string
	var n int
	if err := p.pool.QueryRow(readStamps).Scan(&g, &lowest, &highest, &n); err != nil {
		return err
	}
	p.tell("saw", fmt.Sprint(g, " ", lowest, " ", highest, " ", n), began)
	return nil
}

func (p *program) id() string { return fmt.Sprintf("%d-%d", os.Getpid(), p.next.Add(1)) }

func (p *program) write() error {
	id, began := p.id(), now()
	p.tell("tries", id, began)
	var g string
	if err := p.pool.QueryRow("INSERT INTO acked VALUES(?) RETURNING (SELECT g FROM meta)", id).Scan(&g); err != nil {
		return err
	}
	p.tell("wrote", id+" "+g, began)
	return nil
}

// transact reads and writes in one transaction.
func (p *program) transact() error {
	id, began := p.id(), now()
	p.tell("tries", id, began)
	tx, err := p.pool.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	var before, after string
	if err := tx.QueryRow("SELECT g FROM meta").Scan(&before); err != nil {
		return err
	}
	if _, err := tx.Exec("INSERT INTO acked VALUES(?)", id); err != nil {
		return err
	}
	if err := tx.QueryRow("SELECT max(stamp) FROM items").Scan(&after); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if before != after {
		return fmt.Errorf("a transaction saw %s and %s", before, after)
	}
	p.tell("wrote", id+" "+after, began)
	return nil
}

// work is a worker's round, on a pinned connection.
func (p *program) work() error {
	ctx := context.Background()
	c, err := p.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	for range 5 {
		began := now()
		var g, lowest, highest string
		var n int
		if err := c.QueryRowContext(ctx, readStamps).Scan(&g, &lowest, &highest, &n); err != nil {
			return err
		}
		p.tell("saw", fmt.Sprint(g, " ", lowest, " ", highest, " ", n), began)
		id := p.id()
		p.tell("tries", id, now())
		if err := c.QueryRowContext(ctx, "INSERT INTO acked VALUES(?) RETURNING (SELECT g FROM meta)", id).Scan(&g); err != nil {
			return err
		}
		p.tell("wrote", id+" "+g, began)
	}
	return nil
}
