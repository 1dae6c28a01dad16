package together

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/swapper"
)

// programRole is the variable that makes a child one of the programs, and holds its
// settings.
const programRole = "HOTSWAP_TEST_TOGETHER_PROGRAM"

// settings are those of a program.
type settings struct {
	Path    string // of the database
	Journal string
	History string // the file of what its calls came to
	Worker  bool   // it has only a worker's loop
	Idle    bool   // nothing is at work in it
	Alone   bool   // it is of a driver with WithPeers(false)
	Moved   bool   // files are moved to the path: see loop
	Raw     bool   // on go-sqlite3 itself
	Slow    bool   // its OnSwap callback takes longer than anybody waits
	Conns   int
	Pause   time.Duration // between the calls of each loop
}

// installFilter has the test decide over this process's system calls, from now on.
var installFilter func() error

// program is one of several that have the database open. It does what its stdin says, a
// line at a time, and answers each with one line.
type program struct {
	settings
	pool    *sql.DB
	db      *driver.Database
	history *os.File
	next    atomic.Int64
	swaps   atomic.Int64
	stop    chan struct{}
	done    sync.WaitGroup
	held    *sql.Tx
	rows    *sql.Rows
	pinned  *sql.Conn
	frozen  *driver.Frozen
}

func runProgram(text string) error {
	p := &program{stop: make(chan struct{})}
	if err := json.Unmarshal([]byte(text), &p.settings); err != nil {
		return err
	}
	var err error
	if p.history, err = os.OpenFile(p.History, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	name := driver.Name
	if p.Alone {
		name = "alone"
		sql.Register(name, driver.New(driver.WithPeers(false)))
	}
	if p.Raw {
		name = "sqlite3"
	}
	p.pool, err = sql.Open(name, "file:"+p.Path+"?_busy_timeout=60000&_txlock=immediate&_journal="+p.Journal)
	if err != nil {
		return err
	}
	if p.Conns == 0 {
		p.Conns = 4
	}
	p.pool.SetMaxOpenConns(p.Conns)
	p.pool.SetMaxIdleConns(p.Conns)
	if err := p.pool.Ping(); err != nil {
		return err
	}
	if !p.Raw {
		p.db, _ = driver.Lookup(p.Path)
		p.db.OnSwap(func(s driver.Swap) {
			p.swaps.Add(1)
			if p.Slow {
				time.Sleep(time.Minute)
			}
		})
	}
	switch {
	case p.Idle:
	case p.Worker:
		p.loop(p.work)
	default:
		old, err := p.pool.Prepare(readStamps)
		if err != nil {
			return err
		}
		p.loop(p.read)
		p.loop(func() error { return p.see(old.QueryRow) })
		p.loop(p.write)
		p.loop(p.transact)
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(p.obey(in.Text()))
	}
	close(p.stop)
	p.done.Wait()
	return p.pool.Close()
}

// obey does one thing, and returns the answer.
func (p *program) obey(line string) string {
	what, arg, _ := strings.Cut(line, " ")
	switch what {
	case "push":
		return p.push(arg)
	case "look": // what is live, the generation, and how often OnSwap has run
		var stamp string
		if err := p.pool.QueryRow("SELECT g FROM meta").Scan(&stamp); err != nil {
			return "error: " + err.Error()
		}
		return fmt.Sprint(stamp, " ", p.db.Generation(), " ", p.swaps.Load())
	case "begin":
		tx, err := p.pool.Begin()
		if err == nil {
			_, err = tx.Exec("INSERT INTO acked VALUES('held')")
		}
		p.held = tx
		return fmt.Sprint(err)
	case "commit":
		return fmt.Sprint(p.held.Commit())
	case "rows":
		rows, err := p.pool.Query("SELECT stamp FROM items")
		if err == nil {
			rows.Next()
		}
		p.rows = rows
		return fmt.Sprint(err)
	case "close":
		return fmt.Sprint(p.rows.Close())
	case "exec":
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		_, err := p.pool.ExecContext(ctx, arg)
		return fmt.Sprint(err)
	case "unlocked": // a pool that takes no locks, which stays
		db, err := sql.Open(driver.Name, "file:"+p.Path+"?immutable=1")
		if err == nil {
			err = db.Ping()
		}
		return fmt.Sprint(err)
	case "raw": // on the SQLite connection itself, of a pinned one
		if p.pinned == nil {
			var err error
			if p.pinned, err = p.pool.Conn(context.Background()); err != nil {
				return err.Error()
			}
		}
		return fmt.Sprint(driver.Raw(p.pinned, func(c *sqlite3.SQLiteConn) error { _, err := c.Exec(arg, nil); return err }))
	case "freeze":
		frozen, err := p.db.Freeze(context.Background(), driver.FreezeOptions{})
		p.frozen = frozen
		return fmt.Sprint(err)
	case "thaw":
		p.frozen.Thaw()
		return "<nil>"
	case "idle": // has no connection open any more
		p.pool.SetMaxIdleConns(-1)
		return "<nil>"
	case "held": // how many connections are
		return fmt.Sprint(p.db.Stats().Held)
	case "filter":
		return fmt.Sprint(installFilter())
	case "warning":
		return p.db.Warning()
	case "peers":
		text, _ := json.Marshal(p.db.Peers())
		return string(text)
	}
	return "what is " + what + "?"
}

// order is what push is told.
type order struct {
	Source   string
	Method   swapper.Method
	Timeout  time.Duration
	MaxPause time.Duration
	Force    bool
	DryRun   bool
	Migrate  bool // a table more
	NoBackup bool
	Log      bool // to stderr
}

// outcome is what it says.
type outcome struct {
	Report swapper.Report
	Err    string
	Busy   bool
}

func (p *program) push(text string) string {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err.Error()
	}
	f, err := os.Open(o.Source)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	opts := swapper.PushOptions{Source: o.Source, Method: o.Method, Timeout: o.Timeout, MaxPause: o.MaxPause, Force: o.Force, DryRun: o.DryRun, Backup: !o.NoBackup, Quick: true}
	if o.Log {
		opts.Logger = zerolog.New(os.Stderr)
	}
	if o.Migrate {
		opts.SkipSchemaCheck = true
		opts.Prepare = func(ctx context.Context, db *sql.DB) error {
			_, err := db.ExecContext(ctx, "CREATE TABLE migrated(n)")
			return err
		}
	}
	r, err := swapper.Push(context.Background(), p.db, f, opts)
	out := outcome{Report: r}
	if err != nil {
		out.Err, out.Busy = err.Error(), errors.Is(err, swapper.ErrBusy)
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return err.Error()
	}
	return string(answer)
}
