package browser

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"hotswap/sockserver"
)

// TestTheCommandServesThePageOfAProgramWithoutAMux: a push and a refusal go through it
// as they do without it.
func TestTheCommandServesThePageOfAProgramWithoutAMux(t *testing.T) {
	p := start(t, "production.sqlite3", sockserver.Config{})
	dir, err := os.MkdirTemp("", "hs") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	server, err := sockserver.Start(sockserver.Config{SocketPath: filepath.Join(dir, "s.sock"), DatabasePaths: []string{p.path}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })

	b := open(t, startUI(t, "ui", "--allow-push", "--socket", server.SocketPath()))
	b.choose(p.notes(t))
	b.press("Push to")
	b.sees(".result", "Refused: the database is bad", "not an SQLite database")
	b.choose(p.file(t, "new.sqlite3", "new"))
	b.press("Push to")
	b.sees(".result", "The new database is live")
	b.sees("#log", "push complete")
	if name := p.name(t); name != "new" {
		t.Errorf("it holds %q", name)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	b.sees("#state", "there is no such socket")
}

// TestAnOptionThatAnOlderProgramDoesNotKnowIsNamed: the page of a newer command may have
// one.
func TestAnOptionThatAnOlderProgramDoesNotKnowIsNamed(t *testing.T) {
	p := start(t, "production.sqlite3", mayPush)
	current := p.server.Config.Handler
	p.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("skip_rehearsal") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, `{"type":"urn:hotswap:problem:bad-request","title":"bad request","status":400,"detail":"unknown parameter \"skip_rehearsal\": /v1/database takes path","exit":2}`)
			return
		}
		current.ServeHTTP(w, r)
	})
	b := open(t, p.url())
	b.choose(p.file(t, "new.sqlite3", "new"))
	b.do(chromedp.Click(chromedp.Search("//summary[text()='More options']")), chromedp.Click(chromedp.Search("//label[contains(., '--skip-rehearsal')]/input")))
	b.press("Push to")
	b.sees(".result", "Refused: bad request", "hotswap is older than this page: push without --skip-rehearsal")
	b.silent("400")
}

// startUI builds the command and runs it until the test ends, and returns the address that
// it prints.
func startUI(t *testing.T, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "./cmd/hotswap")
	build.Dir = "../.."
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "hotswap"), args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(url)
}
