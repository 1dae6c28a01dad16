package testapp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

// pushed is how a push in the background ended.
type pushed struct {
	report swapper.Report
	err    error
}

// pushBehind starts a push of the next generation. reopened is closed once an
// attempt has failed, that is, once the gate has been closed over the holds
// and has been opened again.
func (r *run) pushBehind(f Fixture, opts swapper.PushOptions) (reopened chan struct{}, result chan pushed) {
	reopened, result = make(chan struct{}), make(chan pushed, 1)
	done := false // Notify is called by one goroutine
	opts.Notify = func(e swapper.Event) {
		if e.Step == swapper.StepReopened && !done {
			done = true
			close(reopened)
		}
	}
	next := r.fixture(f, r.svc.Database().Generation()+1)
	go func() {
		report, err := r.push(next, "", opts)
		result <- pushed{report, err}
	}()
	return reopened, result
}

// awaitReopened blocks until an attempt has failed; the push may not end before.
func awaitReopened(t *testing.T, reopened <-chan struct{}, result <-chan pushed) {
	t.Helper()
	select {
	case <-reopened:
	case p := <-result:
		t.Fatalf("the push ended before an attempt failed: %v, report %+v", p.err, p.report)
	case <-time.After(time.Minute):
		t.Fatal("waited a minute for an attempt to fail")
	}
}

// transactions are the two ways of holding one open.
func (r *run) transactions(t *testing.T) map[driver.HoldKind]func(ctx context.Context, id ID) (insert func(part int) error, end func(word string) error) {
	t.Helper()
	return map[driver.HoldKind]func(context.Context, ID) (func(int) error, func(string) error){
		driver.HoldTx: func(ctx context.Context, id ID) (func(int) error, func(string) error) {
			tx, err := r.svc.WritePool().BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			insert := func(part int) error {
				_, err := tx.ExecContext(ctx, insertWrite, id.Writer, id.Seq, part, 2)
				return err
			}
			return insert, func(string) error { return tx.Commit() }
		},
		driver.HoldRaw: func(ctx context.Context, id ID) (func(int) error, func(string) error) {
			conn, err := r.svc.WritePool().Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.ExecContext(ctx, `BEGIN IMMEDIATE`); err != nil {
				t.Fatal(err)
			}
			insert := func(part int) error {
				_, err := conn.ExecContext(ctx, insertWrite, id.Writer, id.Seq, part, 2)
				return err
			}
			return insert, func(word string) error {
				_, err := conn.ExecContext(ctx, word)
				return errors.Join(err, conn.Close())
			}
		},
	}
}

func TestTransactionOpenWhenAPushComesIsDrainedWhole(t *testing.T) {
	if !alone(t) {
		return
	}
	f := Fixture{Size: 1 << 20, JournalMode: "wal"}
	for _, kind := range []driver.HoldKind{driver.HoldTx, driver.HoldRaw} {
		t.Run(string(kind), func(t *testing.T) {
			// The load reads only: nothing but the transaction keeps the push waiting
			// for long.
			r := startRun(t, f, Config{Interval: never})
			r.load(LoadConfig{Readers: 2})
			id := ID{"background", 1}
			span := Span{First: r.svc.Database().Generation(), Start: time.Now()}
			insert, commit := r.transactions(t)[kind](t.Context(), id)
			if err := insert(1); err != nil {
				t.Fatal(err)
			}
			reopened, result := r.pushBehind(f, r.options())
			awaitReopened(t, reopened, result)
			r.awaitCalls(3, CallStatement, CallTransaction, CallNested, CallPrepared, CallCached)
			if err := insert(2); err != nil {
				t.Fatal(err)
			}
			if err := commit(`COMMIT`); err != nil {
				t.Fatal(err)
			}
			span.End, span.Last = time.Now(), r.svc.Database().Generation()
			r.history.AddWrite(Write{ID: id, Kind: Pair, Span: span, Acked: true})
			p := await(t, "the push", result)
			if p.err != nil {
				t.Fatal(p.err)
			}
			wantHolder(t, p.report.Holders, kind)
			r.stopLoads()
			r.finish()
			old, err := readContents(t.Context(), r.trail.Files()[0])
			if err != nil {
				t.Fatal(err)
			}
			if !old.own[id].whole() {
				t.Error("the replaced file lacks the transaction")
			}
		})
	}
}

func TestTransactionThatOutlastsThePushIsNamedAndKeepsItsDatabase(t *testing.T) {
	if !alone(t) {
		return
	}
	f := Fixture{Size: 1 << 20, JournalMode: "wal"}
	for _, kind := range []driver.HoldKind{driver.HoldTx, driver.HoldRaw} {
		t.Run(string(kind), func(t *testing.T) {
			r := startRun(t, f, Config{Interval: never})
			id := ID{"background", 1}
			span := Span{First: 1, Start: time.Now(), Last: 1}
			insert, commit := r.transactions(t)[kind](t.Context(), id)
			if err := insert(1); err != nil {
				t.Fatal(err)
			}
			opts := r.options()
			opts.Timeout, opts.MaxPause = 50*time.Millisecond, 10*time.Millisecond
			_, result := r.pushBehind(f, opts)
			p := await(t, "the push", result)
			if !errors.Is(p.err, swapper.ErrBusy) || p.report.Swapped {
				t.Fatalf("the push ended with %v, report %+v", p.err, p.report)
			}
			var held *driver.HeldError
			if !errors.As(p.err, &held) {
				t.Fatalf("no HeldError in %v", p.err)
			}
			wantHolder(t, held.Holders, kind)
			if !strings.Contains(p.err.Error(), "INSERT INTO testapp_write") {
				t.Errorf("the message does not name the query: %v", p.err)
			}
			if err := insert(2); err != nil {
				t.Fatal(err)
			}
			if err := commit(`COMMIT`); err != nil {
				t.Fatal(err)
			}
			span.End = time.Now()
			r.history.AddWrite(Write{ID: id, Kind: Pair, Span: span, Acked: true})
			r.finish()
		})
	}
}

func wantHolder(t *testing.T, holders []driver.Holder, kind driver.HoldKind) {
	t.Helper()
	for _, h := range holders {
		if h.Kind == kind && strings.Contains(h.Query, "INSERT INTO testapp_write") {
			return
		}
	}
	t.Errorf("no %s that names its query among the holders: %+v", kind, holders)
}

// A slow query delays the push and nobody else.
func TestOtherCallsAreServedWhileASlowOneDelaysAPush(t *testing.T) {
	if !alone(t) {
		return
	}
	f := Fixture{Size: 1 << 20, JournalMode: "wal"}
	slow := newHold(t)
	r := startRun(t, f, Config{Driver: slow.driver})
	slowResult := make(chan error, 1)
	go func() { slowResult <- slow.query(t.Context(), r.svc.ReadPool()) }()
	await(t, "the slow query to run", slow.running)
	r.load(LoadConfig{Readers: 2, Writers: 2})

	opts := r.options()
	opts.Timeout, opts.MaxPause = time.Hour, 10*time.Millisecond
	reopened, result := r.pushBehind(f, opts)
	awaitReopened(t, reopened, result)
	r.awaitCalls(10)
	select {
	case err := <-slowResult:
		t.Errorf("the slow query has ended already: %v", err)
	case p := <-result:
		t.Errorf("the push has ended already: %+v", p)
	default:
	}
	slow.end()
	if err := await(t, "the slow query", slowResult); err != nil {
		t.Errorf("the slow query: %v", err)
	}
	if p := await(t, "the push", result); p.err != nil {
		t.Errorf("the push: %v", p.err)
	} else if p.report.Attempts < 2 {
		t.Errorf("the push took %d attempts", p.report.Attempts)
	}
	r.stopLoads()
	r.finish()
}
