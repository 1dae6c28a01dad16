package sockserver

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/rs/zerolog"
)

// unprintable returns what a terminal would obey; "" if there is nothing.
func unprintable(text string) string {
	if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
		return fmt.Sprintf("%q", text[i:min(len(text), i+8)])
	}
	return ""
}

func TestNamesThatClientsMadeUpAreQuotedInStatusLinesAndLog(t *testing.T) {
	const hostile = "x\x1b]0;owned\a\u009b31m\u202e\x7f\r\nowned"
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 1)
	makeDatabase(t, dir+"/new", 2)
	var log bytes.Buffer
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, func(a *api) {
		a.cfg.Logger = zerolog.New(zerolog.SyncWriter(&log))
	})
	var feeds []io.Reader
	for _, accept := range []string{typeText, typeNDJSON} {
		conn := dial(t, s.StderrSocketPath())
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: hotswap\r\nAccept: %s\r\n\r\n", accept)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		feeds = append(feeds, res.Body)
	}
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, s)
	if _, err := c.Push(t.Context(), TheDatabase, bytes.NewReader(content), PushParams{Source: hostile}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{Dest: hostile}); err != nil {
		t.Fatal(err)
	}
	_, err = c.Snapshot(t.Context(), hostile, io.Discard, SnapshotParams{})
	if p := (*Problem)(nil); !errors.As(err, &p) {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // the feeds end
		t.Fatal(err)
	}
	for i, feed := range feeds {
		text, err := io.ReadAll(feed)
		if err != nil {
			t.Fatal(err)
		}
		if bad := unprintable(string(text)); bad != "" || !strings.Contains(string(text), "owned") {
			t.Errorf("feed %d has %s:\n%q", i, bad, text)
		}
	}
	// The fields are quoted by whoever shows them, the message by nobody.
	for line := range bytes.Lines(log.Bytes()) {
		var fields struct{ Message string }
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		if bad := unprintable(fields.Message); bad != "" || strings.Contains(fields.Message, "\nowned") {
			t.Errorf("a message has %s: %q", bad, fields.Message)
		}
	}
}
