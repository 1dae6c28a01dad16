package moves

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/dbpath"
	"hotswap/internal/door"
	"hotswap/sockserver"
)

// programRole is the variable that makes a child the program under test, and
// holds its settings.
const programRole = "HOTSWAP_TEST_MOVES_PROGRAM"

// settings are those of the program under test.
type settings struct {
	Path    string // of the database, as the program opens it
	Dir     string // for its other databases and its socket
	Journal string
	Creates bool   // its connect hook creates the tables
	One     bool   // it has one connection
	Slow    bool   // some of its readers take longer than an adoption waits
	NoDoor  bool   // nobody watches what is opened
	Callers string // a regular expression: which of them are at work
}

func (s settings) socket() string { return s.Dir + "/s.sock" }

// program is the program under test: a pool with callers at work on it, other
// databases that attach the file, and a socket. What each call came to goes to
// the descriptor 3, a line each. It ends when its stdin does.
type program struct {
	settings
	driver   string
	pool     *sql.DB
	db       *driver.Database
	swaps    atomic.Uint64 // the latest generation that OnSwap was told of
	prepared *sql.Stmt
	out      chan event
	stop     chan struct{}
	still    sync.RWMutex // held for reading by every caller's round
}

// chosen tells whether a caller is to be at work.
func (s settings) chosen(who string) bool { return regexp.MustCompile(s.Callers).MatchString(who) }

// callTimeout is when a call counts as hung.
const callTimeout = 25 * time.Second

func runProgram(text string) error {
	p := &program{out: make(chan event, 1024), stop: make(chan struct{})}
	if err := json.Unmarshal([]byte(text), &p.settings); err != nil {
		return err
	}
	if p.NoDoor {
		door.Install = func() {}
	}
	if err := p.open(); err != nil {
		return err
	}
	told := make(chan error, 1)
	go func() { told <- p.tell(os.NewFile(3, "events")) }()
	p.db.OnSwap(p.swapped)
	server, err := sockserver.Start(sockserver.Config{SocketPath: p.socket()})
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, caller := range p.callers() {
		if !p.chosen(caller.who) {
			continue
		}
		wg.Go(func() { p.rounds(caller) })
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := p.obey(in.Text()); err != nil {
			return err
		}
		fmt.Println(in.Text())
	}
	close(p.stop)
	wg.Wait()
	p.awaitSwapped()
	err = errors.Join(server.Close(), p.prepared.Close(), p.pool.Close())
	p.out <- event{} // an OnSwap may still run; what it has to say now is not heard
	return errors.Join(err, <-told)
}

func (p *program) open() error {
	p.driver = driver.Name
	if p.Creates {
		p.driver = "moves-creating"
		sql.Register(p.driver, driver.New(driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
			_, err := c.Exec(schema, nil)
			return err
		})))
	}
	if err := p.openPool(); err != nil {
		return err
	}
	var ok bool
	if p.db, ok = driver.Lookup(p.Path); !ok { // it is kept for good, whatever becomes of the pool
		return errors.New("the database is not managed")
	}
	return nil
}

func (p *program) openPool() (err error) {
	if p.pool, err = sql.Open(p.driver, dbpath.URI(p.Path, p.params()...)); err != nil {
		return err
	}
	p.limit()
	p.prepared, err = p.pool.Prepare(selectAll)
	return err
}

// params are those of the program's data source names. Its calls are patient: with
// a rollback journal readers and writers shut each other out for seconds.
func (s settings) params() []string {
	return []string{"_txlock=immediate", "_busy_timeout=6000", "_journal=" + s.Journal}
}

// limit has the pool keep as many connections as it may open.
func (p *program) limit() {
	n := 8
	if p.One {
		n = 1
	}
	p.pool.SetMaxOpenConns(n)
	p.pool.SetMaxIdleConns(n)
}

// obey does what the test says over stdin. Between "pause" or "close" and
// "resume" or "open" no call runs.
func (p *program) obey(word string) error {
	switch word {
	case "pause": // no connection is open then
		p.still.Lock()
		p.pool.SetMaxIdleConns(-1)
	case "resume":
		p.limit()
		p.still.Unlock()
	case "hold":
		p.hold()
	case "close":
		p.still.Lock()
		return errors.Join(p.prepared.Close(), p.pool.Close())
	case "open":
		defer p.still.Unlock()
		return p.reopenPool()
	}
	return nil
}

// reopenPool opens the pool, which may have to be tried again: the file may not be
// whole, or a push may be busy with the one before it.
func (p *program) reopenPool() (err error) {
	for began := time.Now(); time.Since(began) < 3*callTimeout; time.Sleep(10 * time.Millisecond) {
		p.record(event{Who: "open", Call: callOpen}, func(ctx context.Context, e *event) error {
			if err = p.openPool(); err != nil {
				return err
			}
			return e.scan(p.prepared.QueryRowContext(ctx))
		})
		if err == nil {
			return nil
		}
		p.pool.Close()
	}
	return err
}

// hold is the first call after a pause. It holds its Rows for a while, longer than
// an adoption waits if the world is slow.
func (p *program) hold() {
	nap := 50 * time.Millisecond
	if p.Slow {
		nap = 5600 * time.Millisecond
	}
	held := false
	p.record(event{Who: "hold", Call: callLong}, func(ctx context.Context, e *event) error {
		return p.loop(ctx, p.pool, e, 1, func(context.Context, *event) error {
			if !held {
				held = true
				time.Sleep(nap)
			}
			return nil
		})
	})
}

// tell writes the events down, as they come.
func (p *program) tell(to *os.File) error {
	w := bufio.NewWriter(to)
	enc := json.NewEncoder(w)
	for e := range p.out {
		if e.Who == "" {
			break
		}
		if err := enc.Encode(e); err != nil {
			return err
		}
		if len(p.out) == 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

// swapped is what a program does that drops its caches and reads them anew.
func (p *program) swapped(s driver.Swap) {
	p.still.RLock() // not while there is no pool
	defer p.still.RUnlock()
	defer func() { p.swaps.Store(max(p.swaps.Load(), s.Generation)) }()
	if !p.chosen("swap") {
		p.record(event{Who: "swap", Call: callTold, First: s.Generation}, func(context.Context, *event) error { return nil })
		return
	}
	p.record(event{Who: "swap", Call: callSwap, First: s.Generation}, func(ctx context.Context, e *event) error {
		return e.scan(p.pool.QueryRowContext(ctx, selectAll))
	})
}

// awaitSwapped waits until OnSwap has run for the present generation, for some
// seconds: it runs after the first calls.
func (p *program) awaitSwapped() {
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(2 * time.Millisecond) {
		if g := p.db.Generation(); g == 1 || p.swaps.Load() >= g {
			return
		}
	}
}
