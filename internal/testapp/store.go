package testapp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// store is the service's SQL. Nothing in it knows that files get swapped.
type store struct {
	rw *sql.DB   // transactions begin immediate: two that read first and then write would deadlock
	ro *sql.DB   // as many connections as it takes: a loop with queries inside needs two
	st *sql.Stmt // prepared once, on ro
	// nestInTx makes nested queries run on the connection that has the outer
	// Rows. Without WAL they must: a writer that waits for the outer Rows to
	// end lets no new reader in, on any SQLite.
	nestInTx bool
}

const readAllStamps = `SELECT min(generation), max(generation), count(*) FROM testapp_generation`

// querier is a pool, a connection or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func scanSeen(row *sql.Row) (s Seen, err error) {
	return s, row.Scan(&s.Low, &s.High, &s.Stamps)
}

func (s *store) statement(ctx context.Context) (Seen, error) {
	return scanSeen(s.ro.QueryRowContext(ctx, readAllStamps))
}

func (s *store) prepared(ctx context.Context) (Seen, error) {
	return scanSeen(s.st.QueryRowContext(ctx))
}

// transaction reads in three statements, which must see the same.
func (s *store) transaction(ctx context.Context) (seen Seen, err error) {
	err = inTx(ctx, s.ro, func(tx *sql.Tx) error {
		if seen, err = scanSeen(tx.QueryRowContext(ctx, readAllStamps)); err != nil {
			return err
		}
		for _, id := range []int{1, stampRows} {
			one, err := oneStamp(ctx, tx, id)
			if err != nil {
				return err
			}
			seen.widen(one)
		}
		return nil
	})
	return seen, err
}

// nested asks for the stamps one by one, inside the open Rows that list them.
func (s *store) nested(ctx context.Context) (seen Seen, err error) {
	if !s.nestInTx {
		return nestedOn(ctx, s.ro)
	}
	err = inTx(ctx, s.ro, func(tx *sql.Tx) error {
		seen, err = nestedOn(ctx, tx)
		return err
	})
	return seen, err
}

func nestedOn(ctx context.Context, q querier) (seen Seen, err error) {
	rows, err := q.QueryContext(ctx, `SELECT id, generation FROM testapp_generation WHERE id % 8 = 0`)
	if err != nil {
		return seen, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for first := true; rows.Next(); first = false {
		var id int
		var outer uint64
		if err := rows.Scan(&id, &outer); err != nil {
			return seen, err
		}
		inner, err := oneStamp(ctx, q, id)
		if err != nil {
			return seen, err
		}
		if first {
			seen = inner
		}
		seen.widen(inner)
		seen.widen(Seen{Low: outer, High: outer})
	}
	return seen, rows.Err()
}

func oneStamp(ctx context.Context, q querier, id int) (Seen, error) {
	var g uint64
	err := q.QueryRowContext(ctx, `SELECT generation FROM testapp_generation WHERE id = ?`, id).Scan(&g)
	return Seen{Low: g, High: g}, err
}

const insertWrite = `INSERT INTO testapp_write (writer, seq, part, parts) VALUES (?, ?, ?, ?)`

func (s *store) insert(ctx context.Context, id ID) error {
	_, err := s.rw.ExecContext(ctx, insertWrite, id.Writer, id.Seq, 1, 1)
	return err
}

// pair inserts two rows, or none.
func (s *store) pair(ctx context.Context, id ID) error {
	return inTx(ctx, s.rw, func(tx *sql.Tx) error {
		for part := 1; part <= 2; part++ {
			if _, err := tx.ExecContext(ctx, insertWrite, id.Writer, id.Seq, part, 2); err != nil {
				return err
			}
		}
		return nil
	})
}

// count adds one to the shared counter and returns what it is now.
func (s *store) count(ctx context.Context) (value int64, err error) {
	err = s.rw.QueryRowContext(ctx,
		`UPDATE testapp_counter SET value = value + 1 WHERE name = ? RETURNING value`, counterName).Scan(&value)
	return value, err
}

// enqueue adds a job, and the row that tells of it.
func (s *store) enqueue(ctx context.Context, id ID) error {
	return inTx(ctx, s.rw, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO testapp_job DEFAULT VALUES`); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, insertWrite, id.Writer, id.Seq, 1, 1)
		return err
	})
}

// claim takes the oldest pending job for the worker that knows token. ok is
// false if there is none.
func (s *store) claim(ctx context.Context, token string) (job int64, ok bool, err error) {
	err = inTx(ctx, s.rw, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT id FROM testapp_job WHERE state = 'pending' ORDER BY id LIMIT 1`).Scan(&job)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE testapp_job SET state = 'running', token = ? WHERE id = ?`, token, job)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return job, err == nil, err
}

// errJobGone is for a job that is not in the database any more: it was claimed
// from one that has been replaced since. The new database knows nothing of it,
// so there is nothing to complete.
var errJobGone = errors.New("the job is gone: its database was replaced")

// complete ends a job, and leaves the row that tells of it in the same
// transaction.
func (s *store) complete(ctx context.Context, job int64, token string, id ID) error {
	return inTx(ctx, s.rw, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE testapp_job SET state = 'done' WHERE id = ? AND token = ?`, job, token)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return errJobGone
		}
		_, err = tx.ExecContext(ctx, insertWrite, id.Writer, id.Seq, 1, 1)
		return err
	})
}

// rawPair is pair on a pinned connection, with the transaction as SQL text.
func rawPair(ctx context.Context, conn *sql.Conn, id ID) (err error) {
	if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			_, undo := conn.ExecContext(ctx, `ROLLBACK`)
			err = errors.Join(err, undo)
		}
	}()
	for part := 1; part <= 2; part++ {
		if _, err := conn.ExecContext(ctx, insertWrite, id.Writer, id.Seq, part, 2); err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, `COMMIT`)
	return err
}

// inTx runs fn in a transaction, and commits it unless fn fails.
func inTx(ctx context.Context, db *sql.DB, fn func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
