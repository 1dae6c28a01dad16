package sockserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"hotswap/driver"
	"hotswap/swapper"
)

// tame is a handler whose operations touch no file; seen gets what the reader of
// a push's body said.
func tame(seen func([]byte, error)) http.Handler {
	a := newAPI(Config{StallTimeout: time.Minute}, newProgram())
	a.push = func(_ context.Context, _ *driver.Database, src io.Reader, opts swapper.PushOptions) (swapper.Report, error) {
		body, err := readAll(src, opts)
		seen(body, err)
		return swapper.Report{Bytes: int64(len(body))}, err
	}
	a.pull = func(context.Context, *driver.Database, io.Writer, swapper.PullOptions) (swapper.Report, error) {
		return swapper.Report{}, errors.New("not now")
	}
	return a.handler()
}

// FuzzRequest sends a request line, a query and headers: the answer is a success
// or a problem in words, and never the server's own fault.
func FuzzRequest(f *testing.F) {
	openDatabase(f, shortDir(f)+"/db", 0)
	for _, seed := range []string{
		"GET /v1/databases HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT /v1/database?path=database&id=a-b_1&timeout=1m30s&force&backup=0&size=3 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc",
		"PUT /v1/database?path=database HTTP/1.1\r\nHost: x\r\nHotswap-Descriptor: source\r\nContent-Digest: sha-256=:AAAA:\r\n\r\n",
		"GET /v1/snapshot?path=%2Fa%00b&dest=\xff HTTP/1.1\r\nHost: x\r\n\r\n",
		"HEAD //v1/../metrics?x=%zz HTTP/1.0\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	handler := tame(func([]byte, error) {})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil || r.RequestURI == "*" || strings.HasPrefix(r.URL.Path, "/v1/events") {
			return // net/http refuses it; or it would stream for ever
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		res := w.Result()
		if res.StatusCode < 400 {
			return
		}
		var p Problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatalf("%d is answered with %q", res.StatusCode, w.Body)
		}
		if p.Detail == "" || p.Type == ProblemInternal && p.Detail != "not now" {
			t.Fatalf("got %+v", p)
		}
	})
}

// FuzzBody sends a body with its framing: what the swapper takes for complete is
// what another reader of the same bytes takes for complete.
func FuzzBody(f *testing.F) {
	openDatabase(f, shortDir(f)+"/db", 0)
	for _, seed := range []struct{ headers, body string }{
		{"Content-Length: 10\r\n", "0123456789"},
		{"Content-Length: 10\r\n", "01234"},
		{"Content-Length: 3\r\nContent-Digest: " + digestOf("abc") + "\r\n", "abc"},
		{"Transfer-Encoding: chunked\r\n", chunk("abc") + "0\r\nContent-Digest: " + digestOf("abc") + "\r\n\r\n"},
		{"Transfer-Encoding: chunked\r\n", chunk("abc") + "0\r\nContent-Digest: " + digestOf("abd") + "\r\n\r\n"},
		{"Transfer-Encoding: chunked\r\n", "ffffffffffffffff\r\nabc"},
		{"Content-Length: 16\r\nContent-Encoding: zstd\r\n", zstdOf(f, "abc")},
		{"Content-Length: 8\r\nContent-Encoding: zstd\r\n", zstdOf(f, "abc")},
	} {
		f.Add(seed.headers, []byte(seed.body))
	}
	var got []byte
	var gotErr error
	handler := tame(func(body []byte, err error) { got, gotErr = body, err })
	f.Fuzz(func(t *testing.T, headers string, body []byte) {
		raw := append([]byte("PUT /v1/database?path=database HTTP/1.1\r\nHost: x\r\n"+headers+"\r\n"), body...)
		read := func() *http.Request {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
			if err != nil || r.URL.Path != "/v1/database" {
				return nil
			}
			return r
		}
		r := read()
		if r == nil {
			return
		}
		got, gotErr = nil, errors.New("not asked for")
		handler.ServeHTTP(httptest.NewRecorder(), r)
		if gotErr != nil {
			return
		}
		again := read()
		sent, err := io.ReadAll(again.Body)
		want := sent
		if again.Header.Get(headerEncoding) == encodingZstd {
			want, err = unzstd(sent)
		}
		if err != nil || !bytes.Equal(want, got) {
			t.Fatalf("the swapper took %q for complete; it is %q, %v", got, want, err)
		}
		for _, fields := range []http.Header{again.Header, again.Trailer} {
			if sum, err := parseDigest(fields); err != nil || sum != nil && formatDigest(sum) != digestOf(string(sent)) {
				t.Fatalf("the swapper took %q for complete, of digest %q", got, fields.Values(headerDigest))
			}
		}
	})
}

func unzstd(data []byte) ([]byte, error) {
	z, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return io.ReadAll(z)
}

// FuzzSubscription reads status lines as a client does, and writes them as the
// server does: each line of text is of one command, whatever is in it.
func FuzzSubscription(f *testing.F) {
	for _, seed := range []string{
		`{"command":"a","verb":"push","time":"2026-01-02T03:04:05Z","step":"received","text":"received 3 bytes","done":3}` + "\n",
		`{"command":"a","last":true,"problem":{"type":"urn:hotswap:problem:busy","status":409}}` + "\n{",
		`{"command":"a","text":"two\nlines\r\n","dropped":7}`,
		`[]`, `{"time":"x"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s := &Subscription{ctx: ctx, cancel: cancel}
		s.from(io.NopCloser(bytes.NewReader(stream)))
		for range len(stream) + 1 {
			line, err := s.Next()
			if err != nil {
				return
			}
			again := formatNDJSON(line, true)
			if bytes.Count(again, []byte("\n")) != 1 {
				t.Fatalf("%q is not one line", again)
			}
			if strings.ContainsAny(line.Command, "\n") || line.Command == "" {
				continue // an id has neither
			}
			for text := range strings.Lines(string(formatText(line, true))) {
				if !strings.Contains(text, " "+line.Command+" ") {
					t.Fatalf("%q does not say whose it is", text)
				}
			}
		}
		t.Fatal("the stream has no end")
	})
}
