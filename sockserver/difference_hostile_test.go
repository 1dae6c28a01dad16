package sockserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/internal/extents"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// held has the server hold a snapshot.
func (d *difference) held() *holding {
	d.t.Helper()
	h, hashes, err := d.far.hold(d.t.Context(), url.Values{paramPath: {TheDatabase}}, extents.NewLayout(4096))
	if err != nil {
		d.t.Fatal(err)
	}
	defer hashes.Close()
	if n, err := io.Copy(io.Discard, hashes); err != nil || n != int64(h.layout.Groups(h.size)*extents.HashSize) {
		d.t.Fatalf("%d bytes, %v", n, err)
	}
	return h
}

// post is a request about it, of a client that asks for nothing with the connection.
func (d *difference) post(path string, query url.Values, body []byte) (*http.Response, error) {
	req, err := newRequest(d.t.Context(), http.MethodPost, path, query, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	return send(d.far.commands, req)
}

// patch is one that makes some bytes.
func (d *difference) patch(size int64, sum [32]byte) []byte {
	d.t.Helper()
	var b bytes.Buffer
	header := extents.Header{Extent: 4096, Size: size}
	whole := func() ([32]byte, error) { return sum, nil }
	if err := extents.Write(d.t.Context(), &b, header, bytes.NewReader(nil), extents.NewSet(0), whole, func(int64) {}); err != nil {
		d.t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsNoDifferenceChangesNothing(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	d := newDifference(t, Config{})
	put := func(query string, body []byte) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, clientBase+"/v1/database?path=database&"+query, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := send(d.far.commands, req)
		if err == nil {
			res.Body.Close()
		}
		return err
	}
	for name, test := range map[string]struct {
		body []byte
		typ  ProblemType
	}{
		"noise":            {[]byte("Last login: Fri Nov 27 on pts/0\n"), ProblemPatch},
		"nothing":          {nil, ProblemPatch},
		"another digest":   {d.patch(2<<20, [32]byte{1}), ProblemDigest},
		"more than a disk": {d.patch(1<<40, [32]byte{1}), ProblemNoSpace},
		"an empty result":  {d.patch(0, sha256.Sum256(nil)), ProblemBad},
	} {
		assertProblem(t, put("held="+d.held().id, test.body), test.typ)
		t.Log(name)
		d.nothingHeld()
	}
	assertProblem(t, put("held=NOSUCH", d.patch(1, [32]byte{})), ProblemNotHeld)
	assertProblem(t, put("size=3&held="+d.held().id, nil), ProblemBadRequest)
	assertProblem(t, put("from=backup&held=x", nil), ProblemBadRequest)
	if got := d.value("SELECT count(*) FROM t"); got != "2000" {
		t.Errorf("the live database has %s rows", got)
	}

	post := func(path string, query url.Values, body string) error {
		res, err := d.post(path, query, []byte(body))
		if err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		return err
	}
	key := strings.Repeat("ab", 16)
	for _, query := range []url.Values{
		{paramPath: {TheDatabase}},
		{paramPath: {TheDatabase}, paramExtent: {"4096"}, paramKey: {"abcd"}},
		{paramPath: {TheDatabase}, paramExtent: {"5000"}, paramKey: {key}},
		{paramPath: {TheDatabase}, paramExtent: {"131072"}, paramKey: {key}},
		{paramPath: {TheDatabase}, paramExtent: {"-4096"}, paramKey: {key}},
	} {
		assertProblem(t, post("/v1/held", query, ""), ProblemBadRequest)
	}
	h := d.held()
	for _, path := range []string{"/v1/held/hashes", "/v1/held/patch"} {
		assertProblem(t, post(path, url.Values{paramHeld: {"NOSUCH"}}, ""), ProblemNotHeld)
	}
	for _, set := range []string{"", "\xff\xff\xff\xff\xff\xff", strings.Repeat("x", 1<<20)} {
		assertProblem(t, post("/v1/held/hashes", url.Values{paramHeld: {h.id}}, set), ProblemBadRequest)
	}
	assertProblem(t, post("/v1/held/patch", url.Values{paramHeld: {h.id}}, "x"), ProblemBadRequest)
	for range 2 {
		if err := post("/v1/held/release", url.Values{paramHeld: {h.id}}, ""); err != nil {
			t.Error(err)
		}
	}
	d.server.api.held.close()
	d.nothingHeld()
}

// TestAnOlderCopyIsReadAsFarAsTheDatabaseGoes: what is behind that is not in the new copy.
func TestAnOlderCopyIsReadAsFarAsTheDatabaseGoes(t *testing.T) {
	d := newDifference(t, Config{})
	if err := os.Truncate(d.copied, 512<<30); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	report, err := d.far.Snapshot(ctx, TheDatabase, io.Discard, SnapshotParams{Base: d.open()})
	if err != nil || report.Bytes > 4<<20 {
		t.Errorf("%d bytes, %v", report.Bytes, err)
	}
	if got := d.far.got.Load(); got > 20<<10 {
		t.Errorf("%d bytes came", got)
	}
}

func TestAnInterruptedComparisonReleasesItsSnapshot(t *testing.T) {
	d := newDifference(t, Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("ctrl-c")
	_, err := d.far.Snapshot(ctx, TheDatabase, writerFunc(func(p []byte) (int, error) { cancel(stop); return len(p), nil }), SnapshotParams{Base: d.open()})
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	d.nothingHeld()
}

func TestAComparisonThatIsInterruptedReleasesItsSnapshot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new")
	makeDatabase(t, path, 2000)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	stop, released := errors.New("ctrl-c"), make(chan string, 2)
	server := fakeServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/held":
			w.Header().Set(headerHeld, "ID")
			w.Header().Set(headerSize, fmt.Sprint(1<<20))
			w.Write(make([]byte, 4*extents.HashSize))
		case "/v1/held/hashes":
			io.Copy(io.Discard, r.Body) // until then net/http does not notice that a client leaves
			cancel(stop)
			<-r.Context().Done()
		case "/v1/held/release":
			released <- r.URL.Query().Get(paramHeld)
		}
	})
	far := newFarClient(t, server.socket, server.stderrSocket)
	if _, err := far.Push(ctx, TheDatabase, file, PushParams{}); err != stop || len(released) != 1 {
		t.Errorf("got %v, %d were released", err, len(released))
	}
	if _, err := far.Snapshot(ctx, TheDatabase, io.Discard, SnapshotParams{}); err != stop {
		t.Errorf("got %v", err)
	}
}

// TestAServerThatKnowsNoDifferencesGetsAndSendsTheWhole: an older one, or noise.
func TestAServerThatKnowsNoDifferencesGetsAndSendsTheWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new")
	makeDatabase(t, path, 2000)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	held := func(size int, hashes []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(headerHeld, "ID")
			w.Header().Set(headerSize, fmt.Sprint(size))
			w.Write(hashes)
		}
	}
	noise := func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("Password: ")) }
	for name, answers := range map[string]map[string]http.HandlerFunc{
		"not found":            {},
		"noise":                {"/v1/held": noise},
		"a size of nothing":    {"/v1/held": held(-1, nil)},
		"a size beyond all":    {"/v1/held": held(1<<62, nil)},
		"too few hashes":       {"/v1/held": held(1<<20, make([]byte, 10))},
		"too many hashes":      {"/v1/held": held(1<<20, make([]byte, 1<<20))},
		"then not found":       {"/v1/held": held(1<<20, make([]byte, 4*extents.HashSize))},
		"then noise":           {"/v1/held": held(1<<20, make([]byte, 4*extents.HashSize)), "/v1/held/hashes": noise},
		"and a patch of noise": {"/v1/held": held(len(data), nil), "/v1/held/patch": noise},
	} {
		t.Run(name, func(t *testing.T) {
			var got []byte
			server := fakeServer(t, func(w http.ResponseWriter, r *http.Request) {
				switch answer := answers[r.URL.Path]; {
				case answer != nil:
					answer(w, r)
				case r.Method == http.MethodPut && !r.URL.Query().Has(paramHeld):
					got, _ = io.ReadAll(r.Body)
					answerJSON(w, swapper.Report{Swapped: true, Bytes: int64(len(got))})
				case r.URL.Path == "/v1/snapshot":
					w.Header().Set("Trailer", headerDigest)
					w.Write(data)
					w.Header().Set(headerDigest, digestOf(string(data)))
				default:
					p := badRequest("nothing is served at %s", r.URL.Path)
					p.Status = http.StatusNotFound
					p.write(w)
				}
			})
			far := newFarClient(t, server.socket, server.stderrSocket)
			file, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if report, err := far.Push(t.Context(), TheDatabase, file, PushParams{}); err != nil || !report.Swapped || !bytes.Equal(got, data) {
				t.Errorf("%+v, %v, %d bytes", report, err, len(got))
			}
			pulled, err := os.Create(filepath.Join(t.TempDir(), "pulled"))
			if err != nil {
				t.Fatal(err)
			}
			defer pulled.Close()
			if report, err := far.Snapshot(t.Context(), TheDatabase, pulled, SnapshotParams{Base: file}); err != nil || report.Bytes != int64(len(data)) {
				t.Errorf("%+v, %v", report, err)
			}
			if got, err := os.ReadFile(pulled.Name()); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}
