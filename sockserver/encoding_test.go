package sockserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"hotswap/swapper"
)

func zstdOf(t testing.TB, data string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(z.EncodeAll([]byte(data), nil))
}

func TestACompressedBodyIsWhatItHasInIt(t *testing.T) {
	body := strings.Repeat("0123456789", 1000)
	z := zstdOf(t, body)
	for name, test := range map[string]struct {
		headers, body, want string
		err                 error // nil: body comes through
		typ                 ProblemType
	}{
		"length":           {fmt.Sprintf("Content-Length: %d\r\n", len(z)), z, body, nil, ""},
		"chunked":          {"Transfer-Encoding: chunked\r\n", chunk(z) + "0\r\n\r\n", body, nil, ""},
		"digest":           {"Transfer-Encoding: chunked\r\nContent-Digest: " + digestOf(z) + "\r\n", chunk(z) + "0\r\n\r\n", body, nil, ""},
		"of what is in it": {"Transfer-Encoding: chunked\r\nContent-Digest: " + digestOf(body) + "\r\n", chunk(z) + "0\r\n\r\n", "", errDigestMismatch, ProblemDigest},
		"cut":              {"Transfer-Encoding: chunked\r\n", chunk(z[:20]), "", errBodyTruncated, ProblemTruncated},
		"a cut frame":      {"Transfer-Encoding: chunked\r\n", chunk(z[:20]) + "0\r\n\r\n", "", errBodyTruncated, ProblemTruncated},
		"behind its frame": {"Transfer-Encoding: chunked\r\n", chunk(z), "", errBodyTruncated, ProblemTruncated},
		"noise":            {"Transfer-Encoding: chunked\r\n", chunk("Password: ") + "0\r\n\r\n", "", errEncoding, ProblemTruncated},
		"noise behind it":  {"Transfer-Encoding: chunked\r\n", chunk(z+"noise") + "0\r\n\r\n", "", errEncoding, ProblemTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			s, seen := bodyServer(t, Config{})
			conn := rawPush(t, s, "Content-Encoding: zstd\r\n"+test.headers, test.body)
			conn.(interface{ CloseWrite() error }).CloseWrite()
			got := <-seen
			if !errors.Is(got.err, test.err) || test.err == nil && (got.err != nil || string(got.body) != test.want) {
				t.Errorf("the swapper got %d bytes, %v", len(got.body), got.err)
			}
			if err := answerOf(t, conn); test.err == nil && err != nil {
				t.Error(err)
			} else if test.err != nil {
				assertProblem(t, err, test.typ)
			}
		})
	}
	s, _ := bodyServer(t, Config{})
	p := assertProblem(t, answerOf(t, rawPush(t, s, "Content-Encoding: gzip\r\nContent-Length: 1\r\n", "x")), ProblemBadRequest)
	if p.Status != http.StatusUnsupportedMediaType {
		t.Errorf("got %d", p.Status)
	}
}

func TestAStreamToElsewhereIsCompressed(t *testing.T) {
	d := newDifference(t, Config{})
	data, err := os.ReadFile(d.copied)
	if err != nil {
		t.Fatal(err)
	}
	report, err := d.far.Push(t.Context(), TheDatabase, io.MultiReader(bytes.NewReader(data)), PushParams{Size: int64(len(data)), Digest: true})
	if err != nil || report.Bytes != int64(len(data)) || !report.Swapped {
		t.Fatalf("%+v, %v", report, err)
	}
	if sent := d.far.sent.Load(); sent > int64(len(data))*6/10 {
		t.Errorf("%d bytes of %d were sent", sent, len(data))
	}
	_, err = d.far.Push(t.Context(), TheDatabase, strings.NewReader("SQLite format 3\x00"+strings.Repeat("x", 1<<20)), PushParams{Size: 1000})
	assertProblem(t, err, ProblemBad)
	broken := errors.New("the disk is on fire")
	_, err = d.far.Push(t.Context(), TheDatabase, io.MultiReader(bytes.NewReader(data), readerFunc(func([]byte) (int, error) { return 0, broken })), PushParams{})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	read := false
	_, err = d.far.Push(t.Context(), "/no/such", readerFunc(func([]byte) (int, error) { read = true; return 0, io.EOF }), PushParams{})
	assertProblem(t, err, ProblemUnmanaged)
	if read {
		t.Error("the body was asked for")
	}
	d.nothingHeld()
}

func TestBytesOfASlowSourceDoNotWaitForMore(t *testing.T) {
	var sent bytes.Buffer
	reads := 0
	err := compress(&sent, readerFunc(func(p []byte) (int, error) {
		if reads++; reads == 2 && sent.Len() == 0 {
			t.Error("nothing was sent yet")
		}
		if reads == 2 {
			return 0, io.EOF
		}
		return copy(p, "a little"), nil
	}), 0)
	if err != nil {
		t.Error(err)
	}
}

func TestAnOlderServerGetsTheBytesAsTheyAre(t *testing.T) {
	var got []byte
	server := fakeServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == versionPath {
			answerJSON(w, VersionInfo{Protocol: encodingProtocol - 1})
			return
		}
		got, _ = io.ReadAll(r.Body)
		answerJSON(w, swapper.Report{Swapped: true})
	})
	far := newFarClient(t, server.socket, server.stderrSocket)
	if _, err := far.Push(t.Context(), TheDatabase, strings.NewReader("0123"), PushParams{}); err != nil || string(got) != "0123" {
		t.Errorf("%q, %v", got, err)
	}
}
