package moves

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/dbpath"
)

var couples = flag.Duration("couple", 2*time.Second, "for how long files are moved over two databases that attach each other")

// TestTwoDatabasesThatAttachEachOther moves files over two databases of which each
// is attached to the connections of the other, by a connect hook. No pool keeps a
// connection: each call opens both files, closes them, and is now and then the last
// one to do so, of one of them or both, while the other's next one opens them, and
// while they are replaced.
func TestTwoDatabasesThatAttachEachOther(t *testing.T) {
	t.Parallel()
	c := newCouple(t)
	var wg sync.WaitGroup
	for _, s := range c {
		for n := range 2 {
			wg.Go(func() { s.calls(fmt.Sprintf("%s-main-%d", s.name, n), s.writeMain) })
		}
		wg.Go(func() { s.calls(s.name+"-other", s.writeOther) })
		wg.Go(func() { s.calls(s.name+"-both", s.writeBoth) })
		wg.Go(func() { s.calls(s.name+"-read", s.read) })
	}
	r := rand.New(rand.NewPCG(*seed, 0))
	for began := time.Now(); time.Since(began) < *couples; {
		s := c[r.IntN(2)]
		s.make(30 + r.IntN(100))
		time.Sleep(upTo(r, 400*time.Millisecond))
		s.move()
	}
	close(c[0].stop)
	wg.Wait()
	for _, s := range c {
		if err := s.pool.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, s := range c {
		s.tell()
	}
}

// side is one of the two databases.
type side struct {
	t           *testing.T
	name        string // "a" or "b", which begins its versions' stamps
	path        string
	kept        string // the directory of the files that were replaced
	pool        *sql.DB
	db          *driver.Database
	other       *side
	stop        chan struct{}
	next, stamp string // of the version that is moved there next
	*recorder
}

func newCouple(t *testing.T) [2]*side {
	dir, stop := t.TempDir(), make(chan struct{})
	var c [2]*side
	for i, name := range []string{"a", "b"} {
		s := &side{t: t, name: name, path: filepath.Join(dir, name+".db"), kept: filepath.Join(dir, name), stop: stop,
			recorder: newRecorder(false)}
		s.must(os.Mkdir(s.kept, 0o700))
		s.must(makeVersion(s.path, newStamp(name, 0, 60), "WAL"))
		c[i] = s
	}
	c[0].other, c[1].other = c[1], c[0]
	for _, s := range c {
		name := "moves-couple-" + s.name
		sql.Register(name, driver.New(driver.WithLogger(zerolog.Nop()), driver.WithConnectHook(func(inner *sqlite3.SQLiteConn) error {
			dawdle()
			_, err := inner.Exec("ATTACH "+quote(s.other.path)+" AS other", nil)
			dawdle()
			return err
		})))
		var err error
		s.pool, err = sql.Open(name, dbpath.URI(s.path, "_busy_timeout=5000"))
		s.must(err)
		t.Cleanup(func() { s.pool.Close() })
		s.pool.SetMaxIdleConns(-1)
		s.db, _ = driver.Lookup(s.path)
		t.Cleanup(s.db.OnSwap(func(swap driver.Swap) {
			now := time.Now().UnixNano()
			s.addEvent(event{Who: "swap", Call: callTold, First: swap.Generation, Last: swap.Generation, Start: now, End: now})
		}))
	}
	return c
}

// dawdle has connections be on their way, with one file open or two, while others
// are closed.
func dawdle() {
	time.Sleep(rand.N(8 * time.Millisecond))
}

func (s *side) must(err error) {
	if err != nil {
		s.t.Helper()
		s.t.Fatal(err)
	}
}

// make makes a new version's file.
func (s *side) make(rows int) {
	n := len(s.h.Puts) + 1
	s.next, s.stamp = filepath.Join(s.kept, fmt.Sprintf("%03d.db", n)), newStamp(s.name, n, rows)
	s.must(makeVersion(s.next, s.stamp, "WAL"))
}

// move moves it over the live one, which is kept.
func (s *side) move() {
	p := put{State: stateWhole, Stamp: s.stamp, Text: string(moveOver), From: time.Now().UnixNano()}
	s.must(unix.Renameat2(unix.AT_FDCWD, s.next, unix.AT_FDCWD, s.path, unix.RENAME_EXCHANGE))
	p.Until = time.Now().UnixNano()
	s.addPut(p)
}

// calls makes one call after another. What one came to is an event of each database
// that it used.
func (s *side) calls(who string, call func(context.Context, *event, *event) error) {
	for seq := int64(1); ; seq++ {
		select {
		case <-s.stop:
			return
		default:
		}
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		now := time.Now().UnixNano()
		mine := event{Who: who, Seq: seq, First: s.db.Generation(), Start: now}
		others := event{Who: who, Seq: seq, First: s.other.db.Generation(), Start: now}
		err := call(ctx, &mine, &others)
		s.record(mine, err, ctx)
		s.other.record(others, err, ctx)
		cancel()
	}
}

// record notes the event, unless the call was not of this database.
func (s *side) record(e event, err error, ctx context.Context) {
	if e.Call == "" {
		return
	}
	e.Last, e.End = s.db.Generation(), time.Now().UnixNano()
	if e.Call == callRead {
		e.Seq = 0
	}
	if err != nil {
		e.Fail, e.Text = failureOf(ctx, err), err.Error()
	}
	s.addEvent(e)
}

// insert is a write that reads which version it is in.
const insert = `INSERT INTO %[1]s.ack (writer, seq, stamp, pad)
	SELECT ?, ?, max(stamp), max(stamp) FROM %[1]s.item
	RETURNING (SELECT count(*) FROM %[1]s.item), (SELECT min(stamp) FROM %[1]s.item), stamp, 0`

type rowQuerier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func writeTo(ctx context.Context, on rowQuerier, schema string, e *event) error {
	return e.scan(on.QueryRowContext(ctx, fmt.Sprintf(insert, schema), e.Who, e.Seq))
}

func (s *side) writeMain(ctx context.Context, mine, _ *event) error {
	mine.Call = callWrite
	return writeTo(ctx, s.pool, "main", mine)
}

func (s *side) writeOther(ctx context.Context, _, others *event) error {
	others.Call = callAttachWrite
	return writeTo(ctx, s.pool, "other", others)
}

// writeBoth writes to both, to a first: two that take their locks in two orders wait
// for each other.
func (s *side) writeBoth(ctx context.Context, mine, others *event) error {
	mine.Call, others.Call = callWrite, callAttachWrite
	tx, err := s.pool.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	first := func() error { return writeTo(ctx, tx, "main", mine) }
	second := func() error { return writeTo(ctx, tx, "other", others) }
	if s.name != "a" {
		first, second = second, first
	}
	if err := errors.Join(first(), second()); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *side) read(ctx context.Context, mine, others *event) error {
	mine.Call, others.Call = callRead, callAttach
	others.Seq = 0
	if err := mine.scan(s.pool.QueryRowContext(ctx, selectAll)); err != nil {
		return err
	}
	return others.scan(s.pool.QueryRowContext(ctx, strings.Replace(selectAll, "FROM item", "FROM other.item", 1)))
}

// tell checks what became of the side. A call may fail that has waited for as long as
// its patience lasts, which files that come so fast one after another may exhaust.
func (s *side) tell() {
	s.mu.Lock()
	defer s.mu.Unlock()
	acked, excused := 0, map[string]int{}
	events := s.h.Events
	s.h.Events = nil
	for _, e := range events {
		switch e.Fail {
		case failReplaced, failForced, failBusy:
			excused[e.Call+" "+e.Fail]++
			e.Fail = failMoot
		case "":
			if e.Seq != 0 {
				acked++
			}
		}
		s.h.Events = append(s.h.Events, e)
	}
	names, err := filepath.Glob(filepath.Join(s.kept, "*.db"))
	s.must(err)
	for _, name := range append(names, s.path) {
		s.h.Files = append(s.h.Files, readContents(name))
	}
	v := check(s.h)
	s.t.Logf("%s: %d moves, %d calls, %d acknowledged writes, files %d, failed calls that are excused: %v",
		s.name, len(s.h.Puts), len(events), acked, len(s.h.Files), excused)
	if len(v.problems) > 0 {
		s.t.Errorf("%s\n%s\nwhat happened, in milliseconds:\n%s", s.name, v.String(), s.h.story())
	}
	left, _ := filepath.Glob(s.path + "-*")
	left = slices.DeleteFunc(left, func(name string) bool {
		// Put aside, since a close of the same moment was about it. What is in it was
		// looked for above: it is in the replaced file, too.
		return strings.HasPrefix(name, s.path+"-wal.of-replaced-")
	})
	if len(left) > 0 {
		s.t.Errorf("%s: left behind: %v", s.name, left)
	}
}
