package testapp

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// allCalls is every sort of call that a service under load makes.
func allCalls() []Call {
	return []Call{
		CallStatement, CallTransaction, CallNested, CallPrepared, CallCached,
		CallInsert, CallPair, CallCounter, CallEnqueue, CallPinned, CallClaim, CallComplete,
	}
}

func TestServiceServesEverySortOfCall(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			r := startRun(t, Fixture{Size: 1 << 20, JournalMode: mode}, Config{JournalMode: mode})
			r.load(LoadConfig{Readers: 2, Writers: 2, Think: time.Millisecond})
			r.awaitCalls(5)
			r.stopLoads()
			v := r.finish()
			if v.Writes == 0 || v.Unacked != 0 || v.Reads == 0 {
				t.Errorf("checked %+v", v)
			}
		})
	}
}

func TestServiceAddsItsTablesToADatabaseThatLacksThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a new ?%#.db")
	svc, err := Start(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := svc.Meter().Await(t.Context(), 3, CallPinned, CallNested); err != nil {
		t.Error(err)
	}
	if err := svc.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := names(t, filepath.Dir(path)); len(got) != 1 || got[0] != filepath.Base(path) {
		t.Errorf("the directory holds %q", got)
	}
}

func TestServiceAnswersWhatItIsAsked(t *testing.T) {
	r := startRun(t, Fixture{Size: 1}, Config{Interval: never})
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/reads/statement", 200, `{"low":1,"high":1,"stamps":64}`},
		{"GET", "/reads/nested", 200, `{"low":1,"high":1,"stamps":0}`},
		{"POST", "/writes/counter?writer=w&seq=1", 200, `{"value":1}`},
		{"POST", "/writes/insert?writer=w", 400, "want ?writer=name&seq=number"},
		{"GET", "/writes/insert", 405, "Method Not Allowed"},
		{"GET", "/healthz", 204, ""},
		{"GET", "/nothing", 404, "404 page not found"},
	} {
		status, body := request(t, c.method, r.svc.URL()+c.path)
		if status != c.status || strings.TrimSpace(body) != c.body {
			t.Errorf("%s %s: %d %q, want %d %q", c.method, c.path, status, body, c.status, c.body)
		}
	}
	_, body := request(t, "GET", r.svc.URL()+"/stats")
	var stats Stats
	if err := json.Unmarshal([]byte(body), &stats); err != nil || stats.Database.Connections == 0 {
		t.Errorf("stats are %s (%v)", body, err)
	}
}

func TestServiceThatCannotStartSaysWhyAndLeavesNothingOpen(t *testing.T) {
	fail := func() {
		t.Helper()
		dir := t.TempDir()
		for _, cfg := range []Config{
			{Path: filepath.Join(dir, "missing", "db")},
			{Path: filepath.Join(dir, "db"), Addr: "203.0.113.1:1"},
			{Path: filepath.Join(dir, "db"), Driver: plainDriver},
		} {
			_, err := Start(t.Context(), cfg)
			if err == nil || !strings.Contains(err.Error(), cfg.Path) {
				t.Errorf("%+v: %v", cfg, err)
			}
		}
	}
	fail() // the runtime and the driver open descriptors once that stay
	before := openFiles(t)
	fail()
	wantOpenFiles(t, before)
}

func TestCloseGivesUpCallsThatOutlastItsContext(t *testing.T) {
	hold := newHold(t)
	r := startRun(t, Fixture{Size: 1}, Config{Interval: never, Driver: hold.driver})
	result := make(chan error, 1)
	go func() {
		_, err := r.svc.observe(r.svc.calls, CallStatement, func(ctx context.Context) error {
			return hold.query(ctx, r.svc.ReadPool())
		})
		result <- err
	}()
	await(t, "the query to run", hold.running)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	closed := make(chan error, 1)
	r.closed = true
	go func() { closed <- r.svc.Close(gone) }()
	<-r.svc.calls.Done()
	hold.end()
	if err := await(t, "the query", result); err == nil {
		t.Error("the query was not given up")
	}
	await(t, "Close", closed)
	if got := r.svc.Meter().Total().Failed; got != 0 {
		t.Errorf("%d calls that were given up count as failed", got)
	}
}

func request(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
