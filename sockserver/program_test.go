package sockserver

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"hotswap/swapper"
)

// muxed is a Handler that a program serves, beside whatever else it has.
type muxed struct {
	t      *testing.T
	server *httptest.Server
}

func mux(t *testing.T, cfg Config) muxed {
	t.Helper()
	server := httptest.NewServer(Handler(cfg))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return muxed{t, server}
}

// ask leaves the body to be closed at the end of the test.
func (m muxed) ask(method, target string) *http.Response {
	m.t.Helper()
	r, err := http.NewRequestWithContext(m.t.Context(), method, m.server.URL+target, http.NoBody)
	if err != nil {
		m.t.Fatal(err)
	}
	r.Header.Set("Accept", typeNDJSON)
	res, err := m.server.Client().Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { res.Body.Close() })
	return res
}

// lines follows the status lines; next waits for one.
func (m muxed) lines() (next func() Line) {
	m.t.Helper()
	lines := json.NewDecoder(m.ask("GET", "/v1/events").Body)
	return func() (line Line) {
		m.t.Helper()
		if err := lines.Decode(&line); err != nil {
			m.t.Fatal(err)
		}
		return line
	}
}

// beside starts a server as a program does, and a client of it.
func beside(t *testing.T, dir string, cfg Config) *Client {
	t.Helper()
	cfg.SocketPath, cfg.StderrSocketPath = dir+"/s.sock", dir+"/s.stderr.sock"
	s, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return newTestClient(t, s)
}

// TestAHandlerShowsWhatComesThroughTheSocket and the socket what comes through the handler:
// lines, what is in progress, ids, and the limit of pulls are the program's.
func TestAHandlerShowsWhatComesThroughTheSocket(t *testing.T) {
	dir := shortDir(t)
	path := dir + "/db"
	openDatabase(t, path, 1)
	cfg := Config{DatabasePaths: []string{path}, MaxPulls: 1}
	handler, c := mux(t, cfg), beside(t, dir, cfg)
	next := handler.lines()
	stuck, body := io.Pipe()
	defer body.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := c.Push(t.Context(), path, stuck, PushParams{ID: "SOCKET", Size: 100})
		ended <- err
	}()
	if line := next(); line.Command != "SOCKET" || line.Path != path {
		t.Errorf("the handler's first line is %+v", line)
	}
	var list []DatabaseInfo
	err := json.NewDecoder(handler.ask("GET", "/v1/databases").Body).Decode(&list)
	if err != nil || len(list) != 1 || len(list[0].Commands) != 1 || list[0].Commands[0].ID != "SOCKET" {
		t.Errorf("the handler lists %+v, %v", list, err)
	}
	assertProblem(t, readProblem(handler.ask("GET", "/v1/snapshot?id=SOCKET&path="+path)), ProblemIDInUse)
	body.CloseWithError(errors.New("enough"))
	if err := <-ended; err == nil {
		t.Error("a push that was broken off succeeded")
	}
	for line := next(); !line.Last; line = next() {
	}

	// The other way round, with a pull that has the only place for one.
	sub, err := c.Subscribe(t.Context(), "MUX")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	held := handler.ask("POST", "/v1/held?extent=4096&key="+strings.Repeat("0", 32)+"&path="+path)
	if _, err := io.Copy(io.Discard, held.Body); err != nil || held.StatusCode != http.StatusOK {
		t.Fatalf("nothing is held: %s, %v", held.Status, err)
	}
	_, err = c.Snapshot(t.Context(), path, io.Discard, SnapshotParams{})
	assertProblem(t, err, ProblemBusy)
	handler.ask("POST", "/v1/held/release?held="+held.Header.Get(headerHeld))
	handler.ask("GET", "/v1/snapshot?id=MUX&path="+path)
	if line, err := sub.Next(); err != nil || line.Path != path {
		t.Errorf("the socket's line is %+v, %v", line, err)
	}
}

func TestAHandlerOfOtherDatabasesShowsNothingOfThese(t *testing.T) {
	dir := shortDir(t)
	path, other := dir+"/db", dir+"/other"
	openDatabase(t, path, 1)
	openDatabase(t, other, 1)
	next := mux(t, Config{DatabasePaths: []string{other}}).lines()
	c := beside(t, dir, Config{})
	for _, pull := range []string{path, other} {
		if _, err := c.Snapshot(t.Context(), pull, io.Discard, SnapshotParams{}); err != nil {
			t.Fatal(err)
		}
	}
	if line := next(); line.Path != other {
		t.Errorf("a reader of another database's lines gets %+v", line)
	}
}

func TestLinesThatWereLostBeforeHiddenOnesAreCounted(t *testing.T) {
	a := newAPI(Config{DatabasePaths: []string{"/nowhere/db"}}, newProgram())
	hidden := Line{Path: "/nowhere/else", Dropped: 3, Event: newEvent(swapper.StepReceived, "hidden")}
	own := Line{Path: "/nowhere/else", through: a, Event: newEvent(swapper.StepReceived, "its own")}
	v := view{api: a}
	if seen := v.of([]Line{hidden}); len(seen) != 0 {
		t.Errorf("seen: %+v", seen)
	}
	if seen := v.of([]Line{own, hidden}); len(seen) != 1 || seen[0].Text != "its own" || seen[0].Dropped != 3 {
		t.Errorf("seen: %+v", seen)
	}
}
