package sockserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

// request asks a Handler; a problem in the answer is the error.
func request(t testing.TB, cfg Config, method, target string) (*http.Response, *Problem) {
	t.Helper()
	w := httptest.NewRecorder()
	Handler(cfg).ServeHTTP(w, httptest.NewRequest(method, target, http.NoBody))
	res := w.Result()
	if res.StatusCode == http.StatusOK {
		return res, nil
	}
	var p *Problem
	if err := readProblem(res); !errors.As(err, &p) || p.Title == "not an answer from hotswap" {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	return res, p
}

func TestRequestsThatMakeNoSenseAreRefusedInWords(t *testing.T) {
	openDatabase(t, shortDir(t)+"/db", 0)
	for _, test := range []struct {
		method, target string
		status         int
		detail         string
	}{
		{"GET", "/v1/databases?paht=/x", 400, `unknown parameter "paht"`},
		{"GET", "/v1/databases?path=%zz", 400, "read the query"},
		{"GET", "/v1/snapshot", 400, "no path"},
		{"GET", "/v1/snapshot?path=db", 400, "not absolute"},
		{"GET", "/v1/snapshot?path=database&force=1", 400, `unknown parameter "force"`},
		{"PUT", "/v1/database?path=database&path=database", 400, "given 2 times"},
		{"PUT", "/v1/database?path=database&force=maybe", 400, `"maybe" is not true or false`},
		{"PUT", "/v1/database?path=database&timeout=10", 400, `"10" is not a duration`},
		{"PUT", "/v1/database?path=database&max_pause=-1s", 400, `"-1s" is not a duration`},
		{"PUT", "/v1/database?path=database&size=-1", 400, `"-1" is not a number of bytes`},
		{"PUT", "/v1/database?path=database&id=a%20b", 400, "letters, digits"},
		{"PUT", "/v1/database?path=database&id=" + strings.Repeat("x", 65), 400, "letters, digits"},
		{"POST", "/v1/database?path=database", 405, "only PUT is served"},
		{"HEAD", "/v1/snapshot?path=database", 400, "use GET"},
		{"GET", "/v2/databases", 404, "nothing is served"},
	} {
		_, p := request(t, Config{}, test.method, test.target)
		if p == nil || p.Status != test.status || !strings.Contains(p.Detail, test.detail) || p.Type != ProblemBadRequest {
			t.Errorf("%s %s: got %+v", test.method, test.target, p)
		}
	}
}

func TestWrongConfigurationIsAProblemOfEachRequest(t *testing.T) {
	if _, p := request(t, Config{DatabasePaths: []string{"["}}, "GET", "/v1/version"); p == nil || p.Status != 500 {
		t.Errorf("got %+v", p)
	}
	if _, err := Start(Config{DatabasePaths: []string{"["}}); err == nil {
		t.Error("Start took a pattern that is not one")
	}
}

func TestEveryPushOptionReachesTheSwapper(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	var got swapper.PushOptions
	s := startServer(t, dir, Config{Timeout: time.Minute, MaxPause: 3 * time.Second},
		pushing(func(_ []byte, _ error, opts swapper.PushOptions) (swapper.Report, error) {
			got = opts
			return swapper.Report{}, nil
		}))
	c := newTestClient(t, s)
	push := func(params PushParams) swapper.PushOptions {
		t.Helper()
		if _, err := c.Push(t.Context(), TheDatabase, strings.NewReader("four"), params); err != nil {
			t.Fatal(err)
		}
		if got.Notify == nil {
			t.Error("nobody is notified")
		}
		got.Notify = nil
		return got
	}
	same := func(got, want swapper.PushOptions) {
		t.Helper()
		if got.Source != want.Source || got.Size != want.Size || got.Timeout != want.Timeout || got.MaxPause != want.MaxPause ||
			got.SkipIntegrityCheck != want.SkipIntegrityCheck || got.SkipSchemaCheck != want.SkipSchemaCheck ||
			got.SkipConstraintCheck != want.SkipConstraintCheck || got.SkipRehearsal != want.SkipRehearsal ||
			got.Quick != want.Quick || got.Force != want.Force || got.Backup != want.Backup || got.DryRun != want.DryRun {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	same(push(PushParams{}), swapper.PushOptions{Source: "the request's body", Timeout: time.Minute, MaxPause: 3 * time.Second})
	same(push(PushParams{Source: "new one.db", Size: 4, Timeout: 5 * time.Second, MaxPause: 20 * time.Millisecond}),
		swapper.PushOptions{Source: "new one.db", Size: 4, Timeout: 5 * time.Second, MaxPause: 20 * time.Millisecond})
	defaults := swapper.PushOptions{Source: "the request's body", Timeout: time.Minute, MaxPause: 3 * time.Second}
	for _, set := range []func(*PushParams, *swapper.PushOptions){
		func(p *PushParams, o *swapper.PushOptions) { p.SkipIntegrityCheck, o.SkipIntegrityCheck = true, true },
		func(p *PushParams, o *swapper.PushOptions) { p.SkipSchemaCheck, o.SkipSchemaCheck = true, true },
		func(p *PushParams, o *swapper.PushOptions) { p.SkipConstraintCheck, o.SkipConstraintCheck = true, true },
		func(p *PushParams, o *swapper.PushOptions) { p.SkipRehearsal, o.SkipRehearsal = true, true },
		func(p *PushParams, o *swapper.PushOptions) { p.Quick, o.Quick = true, true },
		func(p *PushParams, o *swapper.PushOptions) { p.Force, o.Force = true, true },
		func(p *PushParams, o *swapper.PushOptions) { p.Backup, o.Backup = true, true },
		func(p *PushParams, o *swapper.PushOptions) { p.DryRun, o.DryRun = true, true },
	} {
		var params PushParams
		want := defaults
		set(&params, &want)
		same(push(params), want)
	}
}

func TestDatabaseIsFoundByWhateverNameAndNothingElseIs(t *testing.T) {
	dir := shortDir(t)
	live, other := filepath.Join(dir, "live.db"), filepath.Join(dir, "other.db")
	openDatabase(t, live, 0)
	writeFile(t, other, "not managed")
	link, dirLink := filepath.Join(dir, "link"), filepath.Join(dir, "dir")
	if err := errors.Join(os.Symlink(live, link), os.Symlink(dir, dirLink)); err != nil {
		t.Fatal(err)
	}
	a := newAPI(Config{}, newProgram())
	for _, path := range []string{live, link, dirLink + "/live.db", dir + "/./x/../live.db", TheDatabase} {
		if m, err := a.find(path); err != nil || m.path != live {
			t.Errorf("%s: got %q, %v", path, m.path, err)
		}
	}
	for _, path := range []string{other, live + "-wal", dir, "/etc/passwd", dir + "/missing/live.db"} {
		var p *Problem
		if _, err := a.find(path); !errors.As(err, &p) || p.Type != ProblemUnmanaged ||
			!strings.Contains(p.Detail, live) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestTheWordDatabaseNeedsExactlyOne(t *testing.T) {
	dir := shortDir(t)
	a := newAPI(Config{}, newProgram())
	var p *Problem
	if _, err := a.find(TheDatabase); !errors.As(err, &p) || !strings.Contains(p.Hint, "sql.Open") {
		t.Errorf("none: got %v", err)
	}
	openDatabase(t, dir+"/one", 0)
	openDatabase(t, dir+"/two", 0)
	if _, err := a.find(TheDatabase); !errors.As(err, &p) || !strings.Contains(p.Detail, dir+"/one, "+dir+"/two") {
		t.Errorf("two: got %v", err)
	}
}

func TestPatternsChooseWhatIsManaged(t *testing.T) {
	dir := shortDir(t)
	t.Chdir(dir)
	if err := errors.Join(os.Mkdir("in", 0o700), os.Mkdir("out", 0o700), os.Mkdir("in/dir.db", 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"in/closed.db", "in/.hidden.db", "in/x.db-wal", "in/x.db-shm", "in/x.db-journal", "in/x.db~", "out/o.db"} {
		writeFile(t, name, "x")
	}
	openDatabase(t, dir+"/in/open.db", 0)
	openDatabase(t, dir+"/out/open.db", 0)
	paths := func(cfg Config) []string {
		t.Helper()
		list, err := newAPI(cfg, newProgram()).listManaged()
		if err != nil {
			t.Fatal(err)
		}
		var paths []string
		for _, m := range list {
			rel, err := filepath.Rel(dir, m.path)
			if err != nil {
				t.Fatal(err)
			}
			if (m.db != nil) != strings.HasSuffix(rel, "open.db") {
				t.Errorf("%s: open is %v", rel, m.db != nil)
			}
			paths = append(paths, rel)
		}
		return paths
	}
	equal := func(got []string, want ...string) {
		t.Helper()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	equal(paths(Config{}), "in/open.db", "out/open.db")
	equal(paths(Config{DatabasePaths: []string{"in/*"}}), "in/closed.db", "in/open.db")
	equal(paths(Config{DatabasePaths: []string{dir + "/*/open.db", "in/nothing"}}), "in/open.db", "out/open.db")

	cfg := Config{DatabasePaths: []string{"in/*"}}
	writeFile(t, "in/later.db", "x")
	equal(paths(cfg), "in/closed.db", "in/later.db", "in/open.db")
}

func TestDatabasesAreDescribedWithoutOpeningThem(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 3)
	c := newTestClient(t, startServer(t, dir, Config{}, nil))
	list, err := c.Databases(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Path != dir+"/db" || !list[0].Open || list[0].Size == nil || list[0].Stats.Generation != 1 {
		t.Errorf("got %+v", list)
	}
	one, err := c.Databases(t.Context(), TheDatabase)
	if err != nil || len(one) != 1 {
		t.Errorf("got %+v, %v", one, err)
	}
	var p *Problem
	if _, err := c.Databases(t.Context(), "/etc/passwd"); !errors.As(err, &p) || p.Status != http.StatusNotFound {
		t.Errorf("got %v", err)
	}
	version, err := c.Version(t.Context())
	if err != nil || version.PID != os.Getpid() || version.SQLite == "" || version.Go == "" || version.Version == "" {
		t.Errorf("got %+v, %v", version, err)
	}
}

func TestHandlerWorksOnAMuxOfItsOwn(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	mux := http.NewServeMux()
	mux.Handle("/admin/db/", http.StripPrefix("/admin/db", Handler(Config{})))
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/admin/db/v1/databases?path="+url.QueryEscape(dir+"/db"), nil))
	if w.Code != http.StatusOK {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
}

func TestPanicStaysInItsRequest(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	s := startServer(t, dir, Config{}, func(a *api) {
		a.push = func(context.Context, *driver.Database, io.Reader, swapper.PushOptions) (swapper.Report, error) {
			panic("oh no")
		}
	})
	c := newTestClient(t, s)
	var p *Problem
	if _, err := c.Push(t.Context(), TheDatabase, strings.NewReader("x"), PushParams{}); !errors.As(err, &p) || p.Type != ProblemInternal {
		t.Fatalf("got %v", err)
	}
	if _, err := c.Version(t.Context()); err != nil {
		t.Fatal(err)
	}
}
