package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

var (
	seeds = flag.Int("seeds", testenv.Sample(12, 24), "how many random programs to compare on go-sqlite3 and on this driver")
	seed  = flag.Uint64("seed", 1, "the first of their seeds")
)

// TestRandomProgramsCannotTellTheDrivers runs the same random steps on a pool of
// go-sqlite3 and on one of ours, each with a database of its own, and compares after
// every step all that a program can see. On every other seed ours is frozen and thawed
// between the steps. For a difference it reports the seed and the fewest steps it could
// find that show it.
func TestRandomProgramsCannotTellTheDrivers(t *testing.T) {
	t.Parallel()
	for n := range uint64(*seeds) {
		t.Run(fmt.Sprint("seed=", *seed+n), func(t *testing.T) {
			t.Parallel()
			p := newProgram(*seed + n)
			diff := p.run(t)
			if diff == "" {
				return
			}
			shown := p.shortened(t)
			if d := shown.run(t); d != "" { // else it shows by chance only
				diff, p = d, shown
			}
			t.Errorf("%s\n%s", p, diff)
		})
	}
}

// program is what is run on both sides.
type program struct {
	seed    uint64
	dsn     string // what follows the path
	uri     bool
	max     int // of the pool's connections
	freezes bool
	steps   []step
}

// step is the same on both sides, if they are in the same state, for a program.
type step struct {
	text string
	do   func(*side) string // returns what is seen
}

// freezeStep has no do: it happens on one side only.
var freezeStep = step{text: "freeze and thaw"}

// dsns do not wait for a lock, which nobody would release.
var dsns = []string{
	"_sync=0",
	"_busy_timeout=0&_sync=0&_journal=WAL&_txlock=immediate",
	"_busy_timeout=0&_sync=0&_journal=WAL&_loc=auto&_fk=1",
	"_busy_timeout=0&_sync=0&_journal=DELETE&_stmt_cache_size=2&_txlock=exclusive",
	"_busy_timeout=0&_sync=0&_journal=MEMORY&_stmt_cache_size=0&_loc=UTC",
	"_busy_timeout=0&_sync=0&_stmt_cache_size=64&_fk=1&_txlock=immediate",
	"_busy_timeout=0&_sync=0&cache=shared",
	"_busy_timeout=0&_sync=0&_journal=WAL&_mutex=no&_query_only=0&_cslike=1",
}

func newProgram(seed uint64) *program {
	rng := rand.New(rand.NewPCG(seed, 0))
	dsns := dsns
	if driver.UnlockNotify {
		dsns = slices.DeleteFunc(slices.Clone(dsns), func(dsn string) bool { return strings.Contains(dsn, "cache=shared") })
	}
	p := &program{
		seed:    seed,
		dsn:     dsns[rng.IntN(len(dsns))],
		uri:     rng.IntN(4) > 0,
		max:     1 + rng.IntN(4),
		freezes: seed%2 == 0,
	}
	if strings.Contains(p.dsn, "&cache=") {
		p.uri = true // SQLite reads parameters of its own in a URI only
	}
	if !strings.Contains(p.dsn, "_busy_timeout=0") {
		p.max = 1
	}
	g := newGenerator(rng, p.dsn, p.freezes)
	for range 300 {
		p.steps = append(p.steps, g.step())
	}
	return p
}

func (p *program) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "-seed %d: %q, uri %v, %d connections\n", p.seed, p.dsn, p.uri, p.max)
	for i, s := range p.steps {
		fmt.Fprintf(&b, "%3d %s\n", i, s.text)
	}
	return b.String()
}

// run returns the first difference, and "" if there is none.
func (p *program) run(t *testing.T) (diff string) {
	raw, ours := p.open(t, "sqlite3"), p.open(t, driver.Name)
	defer raw.cleanUp()
	defer ours.cleanUp()
	for i, s := range p.steps {
		if s.do == nil {
			if !freezeAndThaw(t, ours.path) {
				continue
			}
			s.do = (*side).afterFreeze
		}
		want := raw.sees(s)
		if d, ok := driver.Lookup(ours.path); ok && i%2 == 0 {
			driver.EndLeaked(d) // at most half of the Rows are still without a stand-in
		}
		if got := ours.sees(s); got != want {
			return fmt.Sprintf("at %d, %s:\n", i, s.text) + differ(want, got)
		}
	}
	if want, got := raw.end(), ours.end(); got != want {
		return "at the end:\n" + differ(want, got)
	}
	if _, ok := driver.Lookup(ours.path); ok {
		return "at the end the database is still managed"
	}
	return ""
}

// differ shows where two texts differ first.
func differ(raw, ours string) string {
	a, b := strings.Split(raw, "\n"), strings.Split(ours, "\n")
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return fmt.Sprintf("raw:  %s\nours: %s", strings.Join(a[i:min(i+3, len(a))], "\n      "), strings.Join(b[i:min(i+3, len(b))], "\n      "))
}

// shortened leaves out what is not needed for a difference.
func (p *program) shortened(t *testing.T) *program {
	short := *p
	for part := len(p.steps) / 2; part > 0; part /= 2 {
		for i := len(short.steps) - part; i >= 0; i -= part {
			try := short
			try.steps = slices.Concat(short.steps[:i], short.steps[i+part:])
			if try.run(t) != "" {
				short = try
			}
		}
	}
	return &short
}

// freezeAndThaw reports whether the database could be frozen: it can't while something
// is held, and that must not be visible either.
func freezeAndThaw(t *testing.T, path string) bool {
	d, ok := driver.Lookup(path)
	if !ok {
		t.Fatalf("%s is not managed", path)
	}
	f, err := d.Freeze(context.Background(), driver.FreezeOptions{Timeout: 2 * time.Millisecond})
	var held *driver.HeldError
	if errors.As(err, &held) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	f.Replaced()
	f.Thaw()
	return true
}

// side is a pool of one of the drivers, with what a program holds from it.
type side struct {
	t         *testing.T
	freezes   bool // ours
	db        *sql.DB
	dir, path string
	live      context.Context // can end, and does not before everything
	cancel    func()
	conns     [2]*sql.Conn
	txs       [2]*openTx
	stmts     [5]*openStmt
	rows      [4]*openRows
}

func (p *program) open(t *testing.T, drv string) *side {
	t.Helper()
	s := &side{t: t, dir: t.TempDir(), freezes: p.freezes}
	s.path = filepath.Join(s.dir, "live.sqlite3")
	name := s.path
	if p.uri {
		name = "file:" + name
	}
	dsn := p.dsn
	if drv != driver.Name {
		// Its own cache, off without the parameter, lets a statement that is no
		// longer valid wait for a lock before it is recompiled.
		dsn = regexp.MustCompile(`&?_stmt_cache_size=\d+`).ReplaceAllString(dsn, "")
	}
	var err error
	if s.db, err = sql.Open(drv, name+"?"+dsn); err != nil {
		t.Fatal(err)
	}
	s.db.SetMaxOpenConns(p.max)
	s.live, s.cancel = context.WithCancel(context.Background())
	mustExec(t, s.db, diffSchema)
	return s
}

// sees does a step, and returns what can be seen of it and of the pool.
func (s *side) sees(st step) string {
	seen := fmt.Sprintf("%s %+v", st.do(s), s.db.Stats())
	return strings.ReplaceAll(seen, s.dir, "DIR")
}

// afterFreeze gives all connections, which a freeze has renewed, the same changes() and
// last_insert_rowid(), and returns their settings.
func (s *side) afterFreeze() (seen string) {
	conns := slices.Clone(s.conns[:])
	for range s.db.Stats().Idle {
		c, err := s.db.Conn(context.Background())
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		conns = append(conns, c)
	}
	for _, c := range conns {
		if c == nil {
			continue
		}
		_, err := c.ExecContext(context.Background(), "PRAGMA query_only=0; DELETE FROM latest; INSERT INTO latest VALUES (1)")
		seen += s.describe(err)
		for _, name := range settings {
			var value any
			err := c.QueryRowContext(context.Background(), "PRAGMA "+name).Scan(&value)
			seen += fmt.Sprintln(name, show(value), s.describe(err))
		}
	}
	return seen
}

var settings = []string{
	"foreign_keys", "recursive_triggers", "query_only", "cache_size", "count_changes", "reverse_unordered_selects", "full_column_names",
	"short_column_names", "ignore_check_constraints", "journal_mode", "synchronous", "busy_timeout", "legacy_alter_table", "side.cache_size",
}

// describe returns all that an error says.
func (s *side) describe(err error) string {
	if err == nil {
		return "nil"
	}
	var se sqlite3.Error
	errors.As(err, &se)
	return fmt.Sprintf("%T %q %d/%d/%d", err, err.Error(), se.Code, se.ExtendedCode, se.SystemErrno)
}
