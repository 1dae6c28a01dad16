package fleetapp

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/fleet"
)

// Config is how the program runs, as its one argument.
type Config struct {
	Engine   string        `json:"engine"`
	Node     string        `json:"node"`
	Path     string        `json:"path"`
	Readers  int           `json:"readers"`
	Think    time.Duration `json:"think"` // between two reads
	Interval time.Duration `json:"interval"`
	Replace  bool          `json:"replace"` // fleet.Replace
	Log      bool          `json:"log"`     // on its error stream
	Trust    []string      `json:"trust"`   // fleet.Config.TrustedKeys
}

// Channel is that of the program's database.
const Channel = "catalog"

// Report is what the program says, again and again.
type Report struct {
	// Version is what the last read has seen, 0 if there was nothing yet.
	Version uint64 `json:"version"`
	Served  uint64 `json:"served"`
	Failed  uint64 `json:"failed"`
	// Longest is the longest call, in nanoseconds.
	Longest time.Duration `json:"longest"`
	// Wrong is what must never be: a call that fails, a read that sees parts of two versions.
	Wrong  string       `json:"wrong,omitempty"`
	Status fleet.Status `json:"status"`
}

// app is the program.
type app struct {
	cfg  Config
	db   *sql.DB
	node *fleet.Node
	news chan struct{}

	mu   sync.Mutex // guards last
	last Report
}

// Run is the program. It ends when in does.
func Run(ctx context.Context, argument string, in io.Reader, out, errs io.Writer) (err error) {
	var cfg Config
	if err := json.Unmarshal([]byte(argument), &cfg); err != nil {
		return err
	}
	a := &app{cfg: cfg, news: make(chan struct{}, 1)}
	if a.db, err = sql.Open(driver.Name, "file:"+cfg.Path+"?_query_only=true"); err != nil {
		return err
	}
	defer a.db.Close()
	join := fleet.Config{Engine: cfg.Engine, Node: cfg.Node, Databases: map[string]string{Channel: cfg.Path},
		Health: a.inOrder, HealthInterval: 200 * time.Millisecond, TrustedKeys: cfg.Trust}
	if cfg.Replace {
		join.Diverged = fleet.Replace
	}
	if cfg.Log {
		join.Logger = zerolog.New(errs).With().Timestamp().Logger()
	}
	if a.node, err = fleet.Join(ctx, join); err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	var work sync.WaitGroup
	for range cfg.Readers {
		work.Go(func() { a.read(reading) })
	}
	work.Go(func() { a.report(reading, out) })
	io.Copy(io.Discard, in)
	stop()
	work.Wait()
	err = a.node.Close()
	return errors.Join(err, json.NewEncoder(out).Encode(a.current()))
}

// inOrder is the program's own opinion of a version.
func (a *app) inOrder(ctx context.Context, _ fleet.Version) error {
	var least int
	if err := a.db.QueryRowContext(ctx, "SELECT min(price) FROM price").Scan(&least); err != nil {
		return err
	}
	if least < 0 {
		return fmt.Errorf("an item costs %d", least)
	}
	return nil
}

// read reads until ctx ends.
func (a *app) read(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		version, err := a.once(context.WithoutCancel(ctx)) // a call that has begun is finished
		a.count(version, time.Since(began), err)
		select {
		case <-time.After(a.cfg.Think):
		case <-ctx.Done():
		}
	}
}

// once reads in one transaction what every version has changed, and a picture.
func (a *app) once(ctx context.Context) (version uint64, err error) {
	tx, err := a.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	var again uint64
	var total, sum int64
	if err := tx.QueryRowContext(ctx, "SELECT version, total FROM catalog").Scan(&version, &total); err != nil {
		return 0, err
	}
	if err := tx.QueryRowContext(ctx, "SELECT sum(price) FROM price").Scan(&sum); err != nil {
		return 0, err
	}
	var picture []byte
	if err := tx.QueryRowContext(ctx, "SELECT data FROM picture ORDER BY item LIMIT 1 OFFSET abs(random()) % 50").Scan(&picture); err != nil {
		return 0, err
	}
	if err := tx.QueryRowContext(ctx, "SELECT version FROM catalog").Scan(&again); err != nil {
		return 0, err
	}
	if again != version || sum != total {
		return 0, fmt.Errorf("a read saw versions %d and %d, and prices that make %d and not %d", version, again, sum, total)
	}
	return version, nil
}

// count takes down a call. Before the first version there is nothing to read.
func (a *app) count(version uint64, took time.Duration, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err != nil && a.last.Version == 0:
		return
	case err != nil:
		a.last.Failed++
		a.last.Wrong = err.Error()
	default:
		a.last.Served++
		a.last.Longest = max(a.last.Longest, took)
	}
	if err == nil && version != a.last.Version {
		a.last.Version = version
		select {
		case a.news <- struct{}{}:
		default:
		}
	}
}

func (a *app) current() Report {
	status := a.node.Status()
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.last
	r.Status = status
	return r
}

// report writes how it is, at once when there is another version.
func (a *app) report(ctx context.Context, out io.Writer) {
	encoder := json.NewEncoder(out)
	tick := time.NewTicker(a.cfg.Interval)
	defer tick.Stop()
	for {
		if encoder.Encode(a.current()) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-a.news:
		case <-ctx.Done():
			return
		}
	}
}
