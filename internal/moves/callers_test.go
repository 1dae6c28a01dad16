package moves

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/dbpath"
	"hotswap/internal/testenv"
)

// selectAll looks at every item: how many, of which stamps, and how many of them
// are not what their stamp says.
const selectAll = `SELECT count(*), coalesce(min(stamp), ''), coalesce(max(stamp), ''),
	coalesce(sum(pad NOT LIKE stamp || '#' || id || ' %'), 0) FROM item NOT INDEXED`

func (e *event) scan(row *sql.Row) error { return row.Scan(&e.Rows, &e.Low, &e.High, &e.Bad) }

// callers are the goroutines of the program.
func (p *program) callers() []*caller {
	often := time.Duration(testenv.Sample(12, 1)) * time.Millisecond
	all := []*caller{
		{who: "w1", pause: often, round: p.write},
		{who: "w2", pause: often, round: p.write},
		{who: "r1", pause: often, round: p.read},
		{who: "r2", pause: often, round: p.readPrepared},
		{who: "r3", pause: 3 * time.Millisecond, round: p.readPinned},
	}
	if !p.One {
		all = append(all,
			&caller{who: "n1", pause: 20 * time.Millisecond, round: p.readNested},
			&caller{who: "l1", pause: 400 * time.Millisecond, round: p.readSlowly})
	}
	text := p.attacher("text", p.attachByText())
	hook := p.attacher("hook", p.attachInHook())
	return append(all, text, hook)
}

func (p *program) write(c *caller) {
	c.seq++
	p.record(event{Who: c.who, Call: callWrite, Seq: c.seq}, func(ctx context.Context, e *event) error {
		tx, err := p.pool.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		return writeIn(ctx, tx, "", e)
	})
}

// writeIn is the rest of a write: it reads which version it is in.
func writeIn(ctx context.Context, tx *sql.Tx, in string, e *event) error {
	const first = `SELECT count(*), coalesce(min(stamp), ''), coalesce(max(stamp), ''), 0 FROM `
	if err := e.scan(tx.QueryRowContext(ctx, first+in+"item")); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO "+in+"ack (writer, seq, stamp, pad) VALUES (?, ?, ?, ?)",
		e.Who, e.Seq, e.Low, strings.Repeat(e.Low+" ", 20))
	if err != nil {
		return err
	}
	return tx.Commit()
}

func (p *program) read(c *caller) {
	p.record(event{Who: c.who, Call: callRead}, func(ctx context.Context, e *event) error {
		return e.scan(p.pool.QueryRowContext(ctx, selectAll))
	})
}

func (p *program) readPrepared(c *caller) {
	p.record(event{Who: c.who, Call: callPrepared}, func(ctx context.Context, e *event) error {
		return e.scan(p.prepared.QueryRowContext(ctx))
	})
}

// readPinned keeps a connection for some calls, and does nothing between them.
func (p *program) readPinned(c *caller) {
	conn, err := p.pool.Conn(context.Background())
	if err != nil {
		p.record(event{Who: c.who, Call: callPinned}, func(context.Context, *event) error { return err })
		return
	}
	defer conn.Close()
	for range 10 {
		p.record(event{Who: c.who, Call: callPinned}, func(ctx context.Context, e *event) error {
			return e.scan(conn.QueryRowContext(ctx, selectAll))
		})
		if p.One {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// querier is a pool or a connection of it.
type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

// readNested queries on one connection while it has Rows open on another. Both have
// the file open before: to open it, the second one might have to wait for the first.
// With a rollback journal it must be the same one: a writer that waits for the
// Rows to end lets no new reader in, on any SQLite.
func (p *program) readNested(c *caller) {
	p.record(event{Who: c.who, Call: callNested}, func(ctx context.Context, e *event) error {
		outer, err := p.pool.Conn(ctx)
		if err != nil {
			return err
		}
		defer outer.Close()
		inner := outer
		if p.Journal == "WAL" {
			if inner, err = p.pool.Conn(ctx); err != nil {
				return err
			}
			defer inner.Close()
			for _, conn := range []*sql.Conn{outer, inner} {
				if err := (&event{}).scan(conn.QueryRowContext(ctx, selectAll)); err != nil {
					return err
				}
			}
		}
		e.First, e.Start = p.db.Generation(), time.Now().UnixNano()
		return p.loop(ctx, outer, e, 8, func(ctx context.Context, e *event) error {
			return e.scan(inner.QueryRowContext(ctx, selectAll))
		})
	})
}

// readSlowly takes its time over its Rows.
func (p *program) readSlowly(c *caller) {
	c.seq++
	n, nap := 0, time.Millisecond
	if p.Slow && c.seq%8 == 1 {
		n, nap = 3, 600*time.Millisecond
	}
	p.record(event{Who: c.who, Call: callLong}, func(ctx context.Context, e *event) error {
		return p.loop(ctx, p.pool, e, n, func(context.Context, *event) error {
			time.Sleep(nap)
			return nil
		})
	})
}

// loop reads the items one by one. inner, which runs at each, or at every n-th,
// may see items, too.
func (p *program) loop(ctx context.Context, on querier, e *event, n int, inner func(context.Context, *event) error) error {
	rows, err := on.QueryContext(ctx, "SELECT id, stamp, pad FROM item NOT INDEXED ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id int
		var stamp, pad string
		if err := rows.Scan(&id, &stamp, &pad); err != nil {
			return err
		}
		e.saw(stamp, stamp)
		e.Rows++
		if pad != padOf(stamp, id) {
			e.Bad++
		}
		if n == 0 || id%n == 0 && id <= 10*n {
			in := event{}
			if err := inner(ctx, &in); err != nil {
				return err
			}
			e.saw(in.Low, in.High)
		}
	}
	return rows.Err()
}

func (e *event) saw(low, high string) {
	if low == "" {
		return
	}
	if e.Low == "" {
		e.Low, e.High = low, high
	}
	e.Low, e.High = min(e.Low, low), max(e.High, high)
}

// attachByText returns a way to connections of another managed database that
// come and go, and attach the file by text.
func (p *program) attachByText() func(context.Context) (*sql.Conn, error) {
	pool := p.otherPool("text.db", driver.Name)
	return func(ctx context.Context) (*sql.Conn, error) {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := conn.ExecContext(ctx, "ATTACH ? AS live", p.Path); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

// attachInHook is attachByText with a connect hook.
func (p *program) attachInHook() func(context.Context) (*sql.Conn, error) {
	sql.Register("moves-attaching", driver.New(driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		_, err := c.Exec("ATTACH "+quote(p.Path)+" AS live", nil)
		return err
	})))
	return p.otherPool("hook.db", "moves-attaching").Conn
}

func (p *program) otherPool(name, drv string) *sql.DB {
	pool, err := sql.Open(drv, dbpath.URI(p.Dir+"/"+name, p.params()...))
	if err != nil {
		panic(err) // of a name that is not registered
	}
	pool.SetMaxIdleConns(-1) // every connection is a new one
	return pool
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// attacher reads and writes through another database's connection.
func (p *program) attacher(how string, connect func(context.Context) (*sql.Conn, error)) *caller {
	round := func(c *caller) {
		e := event{Who: c.who, Call: callAttach}
		c.seq++
		if c.seq%3 == 0 {
			e.Call, e.Seq = callAttachWrite, c.seq
		}
		p.record(e, func(ctx context.Context, e *event) error {
			conn, err := connect(ctx)
			if err != nil {
				return fmt.Errorf("connect: %w", err)
			}
			defer conn.Close()
			if e.Seq == 0 {
				return e.scan(conn.QueryRowContext(ctx, strings.Replace(selectAll, "FROM item", "FROM live.item", 1)))
			}
			tx, err := conn.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer tx.Rollback()
			return writeIn(ctx, tx, "live.", e)
		})
	}
	return &caller{who: "a-" + how, pause: 2 * time.Millisecond, round: round}
}
