package sockserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/extents"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// heldBytes is a snapshot in memory.
type heldBytes struct{ *bytes.Reader }

func (heldBytes) Release() {}

func noSum() (sum [32]byte, err error) { return sum, nil }

// FuzzHeld sends a body to what takes one of a held snapshot: a set, or a patch. The
// answer is a success or a problem in words, never the server's own fault, and a patch
// stays within the size that it says.
func FuzzHeld(f *testing.F) {
	openDatabase(f, shortDir(f)+"/db", 0)
	const size = 100_000
	var patch bytes.Buffer
	all := extents.NewSet(2)
	all.Add(1)
	if err := extents.Write(f.Context(), &patch, extents.Header{Extent: 4096, Size: 8000}, bytes.NewReader(make([]byte, 8000)), all, noSum, func(int64) {}); err != nil {
		f.Fatal(err)
	}
	f.Add(0, []byte("\x01"))
	f.Add(1, []byte("\xff\xff\xff\x01"))
	f.Add(2, patch.Bytes())
	f.Add(2, patch.Bytes()[:30])
	a := newAPI(Config{StallTimeout: time.Minute}, newProgram())
	a.push = func(_ context.Context, _ *driver.Database, src io.Reader, _ swapper.PushOptions) (swapper.Report, error) {
		p := src.(transfer.PatchSource)
		size, err := p.Begin()
		for end := int64(0); err == nil; {
			var off int64
			var data []byte
			if off, data, err = p.Next(); err == nil && (off < end || off+int64(len(data)) > size) {
				return swapper.Report{}, errors.New("out of bounds")
			}
			end = off + int64(len(data))
		}
		if err == io.EOF {
			err = nil
		}
		return swapper.Report{}, err
	}
	handler := a.handler()
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		a.held.put(&heldSnapshot{
			Held: heldBytes{bytes.NewReader(make([]byte, size))}, id: "ID", path: "/db", free: func() {},
			layout: extents.Layout{Extent: 4096}, gone: t.Context(),
		})
		request := [...]struct{ method, target string }{
			{"POST", "/v1/held/hashes?held=ID"}, {"POST", "/v1/held/patch?held=ID"}, {"PUT", "/v1/database?path=database&held=ID"},
		}[uint(which)%3]
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(request.method, request.target, bytes.NewReader(body)))
		if h, err := a.held.take("ID"); (err == nil) != (uint(which)%3 == 0) {
			t.Errorf("%s: is held: %v", request.target, err)
		} else if err == nil {
			h.release()
		}
		if w.Code < 400 {
			return
		}
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Detail == "" || p.Type == ProblemInternal {
			t.Fatalf("%s: %d is answered with %q", request.target, w.Code, w.Body)
		}
	})
}
