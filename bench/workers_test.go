package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// kind is a sort of worker. The program under swaps has all of them.
type kind int

const (
	reader     kind = iota // one SELECT
	writer                 // a transaction of the pool's
	nested                 // queries inside the loop over open Rows
	pinned                 // a *sql.Conn kept for good, BEGIN and COMMIT as SQL text
	prepared               // a *sql.Stmt from before the first swap
	background             // a job runner with a pool of its own, that no handler's lock covers
	kinds
)

var kindNames = [kinds]string{"reader", "writer", "nested", "pinned", "prepared", "background"}

func (k kind) String() string { return kindNames[k] }

// crew is who calls, and how many of each.
var crew = [kinds]int{reader: 8, writer: 2, nested: 1, pinned: 1, prepared: 1, background: 1}

// seen is the lowest and the highest generation that one call read. A call
// that read two has seen both databases.
type seen struct{ Low, High int64 }

func (s *seen) add(generation int64) {
	if s.High == 0 {
		s.Low = generation
	}
	s.Low, s.High = min(s.Low, generation), max(s.High, generation)
}

// pools is how a worker comes by a pool.
type pools interface {
	// use returns the pool to call on until done. Within another use it must
	// not wait for ever: that would be a deadlock, and is an error.
	use(within bool) (db *sql.DB, done func(), err error)
	// open opens one more pool on the same path.
	open() (*sql.DB, error)
}

// worker makes the calls of one kind. After a failed call it starts afresh,
// as a program would that hears of the failure.
type worker struct {
	kind  kind
	pools pools
	conn  *sql.Conn // pinned
	stmt  *sql.Stmt // prepared
	own   *sql.DB   // background
}

var ctx = context.Background()

func (w *worker) call(i int) (seen, error) {
	s, err := w.try(i%peerRows + 1)
	if err != nil {
		w.close()
	}
	return s, err
}

func (w *worker) close() {
	if w.conn != nil {
		w.conn.Close()
	}
	if w.stmt != nil {
		w.stmt.Close()
	}
	if w.own != nil {
		w.own.Close()
	}
	w.conn, w.stmt, w.own = nil, nil, nil
}

func (w *worker) try(id int) (saw seen, err error) {
	if w.kind == background {
		if w.own == nil {
			if w.own, err = w.pools.open(); err != nil {
				return saw, err
			}
		}
		return writeInTx(w.own, id)
	}
	db, done, err := w.pools.use(false)
	if err != nil {
		return saw, err
	}
	defer done()
	switch w.kind {
	case reader:
		err = db.QueryRow(readQuery, id).Scan(&saw.Low, &saw.High)
	case writer:
		saw, err = writeInTx(db, id)
	case nested:
		saw, err = w.readNested(db, id)
	case pinned:
		if w.conn == nil {
			if w.conn, err = db.Conn(ctx); err != nil {
				return saw, err
			}
		}
		saw, err = writePinned(w.conn, id)
	case prepared:
		if w.stmt == nil {
			if w.stmt, err = db.Prepare(readQuery); err != nil {
				return saw, err
			}
		}
		err = w.stmt.QueryRow(id).Scan(&saw.Low, &saw.High)
	}
	return saw, err
}

const (
	readQuery   = "SELECT min(gen), max(gen) FROM t WHERE id BETWEEN ?1 AND ?1 + 5"
	updateQuery = "UPDATE t SET n = n + 1 WHERE id = ?"
)

// executor is what a transaction and a pinned connection have in common.
type executor interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}

// readAndWrite reads before and after its write: both are of one transaction.
func readAndWrite(e executor, id int) (saw seen, err error) {
	var before, after int64
	if err := e.QueryRowContext(ctx, "SELECT gen FROM t WHERE id = ?", id).Scan(&before); err != nil {
		return saw, err
	}
	if _, err := e.ExecContext(ctx, updateQuery, id); err != nil {
		return saw, err
	}
	if err := e.QueryRowContext(ctx, "SELECT gen FROM t WHERE id = ?", id).Scan(&after); err != nil {
		return saw, err
	}
	saw.add(before)
	saw.add(after)
	return saw, nil
}

func writeInTx(db *sql.DB, id int) (seen, error) {
	tx, err := db.Begin()
	if err != nil {
		return seen{}, err
	}
	defer tx.Rollback()
	saw, err := readAndWrite(tx, id)
	if err != nil {
		return seen{}, err
	}
	return saw, tx.Commit()
}

func writePinned(c *sql.Conn, id int) (seen, error) {
	if _, err := c.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return seen{}, err
	}
	saw, err := readAndWrite(c, id)
	if err != nil {
		_, rollbackErr := c.ExecContext(ctx, "ROLLBACK")
		return seen{}, errors.Join(err, rollbackErr)
	}
	_, err = c.ExecContext(ctx, "COMMIT")
	return saw, err
}

func (w *worker) readNested(db *sql.DB, id int) (saw seen, err error) {
	rows, err := db.Query("SELECT id, gen FROM t WHERE id BETWEEN ?1 AND ?1 + 49", id)
	if err != nil {
		return saw, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, gen int64
		if err := rows.Scan(&id, &gen); err != nil {
			return saw, err
		}
		saw.add(gen)
		inner, done, err := w.pools.use(true)
		if err != nil {
			return saw, err
		}
		err = inner.QueryRow("SELECT gen FROM t WHERE id = ?", id).Scan(&gen)
		done()
		if err != nil {
			return saw, err
		}
		saw.add(gen)
	}
	return saw, rows.Err()
}

// plain is a pool that stays for good, on a driver.
type plain struct {
	driver, path string
	db           *sql.DB
}

func openPlain(driver, path string) (*plain, error) {
	p := &plain{driver: driver, path: path}
	var err error
	p.db, err = p.open()
	return p, err
}

func (p *plain) use(bool) (*sql.DB, func(), error) { return p.db, func() {}, nil }

func (p *plain) open() (*sql.DB, error) {
	db, err := sql.Open(p.driver, "file:"+p.path+"?_journal=WAL&_sync=OFF&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(16)
	if err := db.Ping(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s", p.path), err, db.Close())
	}
	return db, nil
}

// deadlockAfter bounds what would else wait for ever.
const deadlockAfter = time.Second
