package sockserver

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"hotswap/internal/statetag"
)

// TestATagIsComputedForThoseWhoWantIt is of every way of a pull. All of the database is
// read for a tag, which takes longer than to copy it.
func TestATagIsComputedForThoseWhoWantIt(t *testing.T) {
	d := newDifference(t, Config{})
	near := newTestClient(t, d.server)
	for _, way := range []struct {
		name string
		pull func(SnapshotParams) (tag string, err error)
	}{
		{"to a file", func(params SnapshotParams) (string, error) {
			report, err := near.Snapshot(t.Context(), TheDatabase, openFile(t, t.TempDir()+"/copy", os.O_RDWR|os.O_CREATE), params)
			return report.Tag, err
		}},
		{"as a body", func(params SnapshotParams) (string, error) {
			report, err := near.Snapshot(t.Context(), TheDatabase, io.Discard, params)
			return report.Tag, err
		}},
		{"what differs, to another machine", func(params SnapshotParams) (string, error) {
			params.Base = d.open()
			report, err := d.far.Snapshot(t.Context(), TheDatabase, io.Discard, params)
			return report.Tag, err
		}},
	} {
		if tag, err := way.pull(SnapshotParams{Tag: true}); err != nil || !statetag.Valid(tag) {
			t.Errorf("%s: tag %q, %v", way.name, tag, err)
		}
		if tag, err := way.pull(SnapshotParams{}); err != nil || tag != "" {
			t.Errorf("%s: there is a tag that nobody asked for, %q, %v", way.name, tag, err)
		}
	}
}

// TestAPullByHTTPHasATag unless it says that it wants none.
func TestAPullByHTTPHasATag(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 10)
	c := newTestClient(t, startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil))
	for query, want := range map[string]bool{"": true, "&tag=1": true, "&tag": true, "&tag=0": false, "&tag=false": false} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://hotswap/v1/snapshot?path=database"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.commands.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_, announced := res.Trailer[http.CanonicalHeaderKey(trailerTag)]
		_, err = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if tag := res.Trailer.Get(trailerTag); err != nil || announced != want || statetag.Valid(strings.Trim(tag, `"`)) != want {
			t.Errorf("%q: announced: %v, tag %q, %v", query, announced, tag, err)
		}
	}
}
