package testapp

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"hotswap/swapper"
)

// keepOut begins a transaction of the program that, without WAL, keeps everybody from
// reading; letIn ends it.
func (r *run) keepOut() (letIn func()) {
	r.t.Helper()
	conn, err := r.svc.WritePool().Conn(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	exec := func(query string) {
		r.t.Helper()
		if _, err := conn.ExecContext(r.t.Context(), query); err != nil {
			r.t.Fatal(err)
		}
	}
	exec(`BEGIN EXCLUSIVE`)
	return func() {
		r.t.Helper()
		exec(`COMMIT`)
		if err := conn.Close(); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Without WAL, a transaction of the program can keep everybody from reading,
// the push's own look at the live schema too. That is a hold like any other.
func TestPushIsBusyWhileATransactionWithoutWALKeepsReadersOut(t *testing.T) {
	if !alone(t) {
		return
	}
	f := Fixture{Size: 1, JournalMode: "delete"}
	r := startRun(t, f, Config{Interval: never})
	letIn := r.keepOut()
	opts := r.options()
	opts.Timeout = 100 * time.Millisecond
	_, result := r.pushBehind(f, opts)
	p := await(t, "the push", result)
	if !errors.Is(p.err, swapper.ErrBusy) || p.report.Swapped {
		t.Errorf("the push ended with %v, report %+v", p.err, p.report)
	}
	letIn()
	r.mustPush(f, r.options())
	r.finish()
}

// A push waits for such a lock as long as for any other hold: longer than a
// reader that is ready to wait for a second, here.
func TestPushOutwaitsATransactionWithoutWALThatKeepsReadersOut(t *testing.T) {
	if !alone(t) {
		return
	}
	f := Fixture{Size: 1, JournalMode: "delete"}
	r := startRun(t, f, Config{Interval: never})
	letIn := r.keepOut()
	opts := r.options()
	opts.Timeout = time.Hour
	_, result := r.pushBehind(f, opts)
	reader, err := openOne(dsn(r.path, url.Values{"_busy_timeout": {"1000"}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reader.ExecContext(t.Context(), `SELECT * FROM testapp_job`); err == nil {
		t.Error("a reader was let in: this test shows nothing")
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-result:
		t.Errorf("the push did not wait: %v", p.err)
	default:
	}
	letIn()
	if !t.Failed() {
		if p := await(t, "the push", result); p.err != nil {
			t.Error(p.err)
		}
	}
	r.finish()
}
