package browser

import (
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/sockserver"
)

func TestWithoutLeaveThePageLooksOnly(t *testing.T) {
	p := start(t, "production.sqlite3", sockserver.Config{})
	b := open(t, p.url())
	b.sees("#program", "looking only")
	b.sees("#state", "live")
	if strings.Contains(b.text("article"), "Push") {
		t.Error("it offers a push")
	}
	b.picture("looking")
	status := eval[int](b, `fetch("v1/database?path=database", { method: "PUT", body: "x" }).then((r) => r.status)`)
	if status != http.StatusForbidden {
		t.Errorf("a push is answered with %d", status)
	}
	b.silent("403")
}

func TestAPullByALinkIsAWholeDatabase(t *testing.T) {
	p := start(t, "production.sqlite3", sockserver.Config{})
	b := open(t, p.url())
	b.sees("article", "Download a copy")
	for _, link := range []string{"Download a copy", "Check, then download"} {
		into := t.TempDir()
		downloads := browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: into}
		if _, err := chromedp.CallBrowser(b.ctx, browser.SetDownloadBehavior, downloads); err != nil {
			t.Fatal(err)
		}
		b.do(chromedp.Click(chromedp.Search(fmt.Sprintf(`//a[text()=%q]`, link))))
		path := filepath.Join(into, "production.sqlite3")
		testenv.Until(t, "there is "+path, func() bool { _, err := os.Stat(path); return err == nil })
		copied, err := sql.Open("sqlite3", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		defer copied.Close()
		var name, sound string
		if err := copied.QueryRow("SELECT name, (SELECT * FROM pragma_integrity_check) FROM item").Scan(&name, &sound); err != nil || name != "old" || sound != "ok" {
			t.Errorf("%s: %q, %q, %v", link, name, sound, err)
		}
	}
	b.sees("#log", "pull started: "+p.path+" to a browser", "integrity check passed")
	b.silent()
}

func TestWhatComesFromElsewhereIsTextAndNoMarkup(t *testing.T) {
	const hostile = `<img src=x onerror=alert(1)>&amp;"'` + "\u202e\u200b"
	p := start(t, "live"+hostile+".sqlite3", mayPush)
	conn, err := p.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rows, err := conn.QueryContext(t.Context(), "SELECT '</code><script>alert(2)</script>\u202e' FROM item")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	b := open(t, p.url())
	shown := strings.NewReplacer("\u202e", `\u{202e}`, "\u200b", `\u{200b}`).Replace(hostile)
	b.sees("h2", "live"+shown)
	b.sees(".holders code", `</code><script>alert(2)</script>\u{202e}`)
	b.choose(p.file(t, "new"+hostile+".db", "new", "CREATE VIEW \"<b onclick=alert(3)>\" AS SELECT '<svg onload=alert(4)>'"))
	b.sees(".source", "new"+shown+".db")
	b.press("Check only")
	b.sees(".differences", "view <b onclick=alert(3)>", "'<svg onload=alert(4)>'")
	b.sees("#log", "new<img src=x onerror=alert(1)>")
	b.picture("hostile")
	if made := eval[[]string](b, `[...document.querySelectorAll("img, article svg, body script, b[onclick]")].map((e) => e.outerHTML)`); len(made) > 0 {
		t.Errorf("markup was made: %q", made)
	}
	b.silent("422")
}

// sites are what a page of another site has a browser do.
const site = `<!doctype html>
<iframe src="%[1]s"></iframe>
<img src="%[1]sv1/snapshot?path=database">
<form method="post" enctype="text/plain" action="%[1]sv1/database?path=database" target="there"><input name="x" value="y"></form>
<iframe name="there"></iframe>
<script>
document.forms[0].submit();
window.answers = [];
const asked = [
	["v1/databases", {}], ["v1/page", {}], ["v1/page", { mode: "no-cors" }], ["v1/events", { mode: "no-cors" }],
	["v1/database?path=database&skip_schema_check", { method: "PUT", body: "x" }],
	["v1/database?path=database&from=backup", { method: "POST", mode: "no-cors" }],
].map(([path, init]) => fetch("%[1]s" + path, init).then(async (r) => r.type + await r.text(), () => "failed"));
Promise.all(asked).then((answers) => { window.answers = answers; });
</script>`

func TestAnotherSitesPageCanDoAndReadNothing(t *testing.T) {
	p := start(t, "production.sqlite3", mayPush)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, site, p.url())
	}))
	defer other.Close()
	b := open(t, strings.Replace(other.URL, "127.0.0.1", "localhost", 1))
	testenv.Until(t, "all is answered", func() bool {
		return eval[int](b, "window.answers?.length ?? 0") > 0 && len(p.answered("POST /v1/database")) == 2 && len(p.answered("GET /")) == 1 &&
			len(p.answered("GET /v1/snapshot")) == 1
	})
	for i, answer := range eval[[]string](b, "window.answers") {
		if answer != "failed" && answer != "opaque" {
			t.Errorf("answer %d is %q", i, answer)
		}
	}
	for _, request := range []string{"POST /v1/database", "GET /v1/snapshot", "GET /", "GET /v1/databases", "GET /v1/page", "GET /v1/events"} {
		if statuses := p.answered(request); len(statuses) == 0 || slices.ContainsFunc(statuses, func(status int) bool { return status != http.StatusForbidden }) {
			t.Errorf("%s is answered with %v", request, statuses)
		}
	}
	if statuses := p.answered("PUT /v1/database"); len(statuses) > 0 {
		t.Errorf("a push was let through: %v", statuses)
	}
	if name := p.name(t); name != "old" {
		t.Errorf("it holds %q", name)
	}

	// A link to the page is another matter.
	b.do(chromedp.Navigate(p.url()))
	b.sees("#state", "live")
}

func TestThePageIsUsedByKeyboard(t *testing.T) {
	p := start(t, "production.sqlite3", mayPush)
	b := open(t, p.url())
	b.sees("article", "Push a database")
	at := func() string { return eval[string](b, "document.activeElement.innerText ?? ''") }
	tabTo := func(text string) {
		t.Helper()
		for range 40 {
			if strings.HasPrefix(at(), text) {
				return
			}
			b.do(chromedp.KeyEvent(kb.Tab))
		}
		t.Fatalf("%q is not reached", text)
	}
	tabTo("Push a database")
	b.do(chromedp.KeyEvent(kb.Enter))
	if focused := eval[string](b, "document.activeElement.type"); focused != "file" {
		t.Errorf("focus is on %q", focused)
	}
	b.do(chromedp.SetUploadFiles(chromedp.CSS("input[type=file]"), []string{p.file(t, "new.sqlite3", "new")}))
	tabTo("Push to")
	b.do(chromedp.KeyEvent(kb.Enter))
	b.sees(".result", "The new database is live")
	testenv.Until(t, "the result has the focus", func() bool { return strings.HasPrefix(at(), "The new database") })
	b.silent()
}

func TestAProgramThatGoesAwayAndComesBackIsNoticed(t *testing.T) {
	p := start(t, "production.sqlite3", sockserver.Config{})
	b := open(t, p.url())
	b.sees("#state", "live")
	listener, handler := p.server.Listener.Addr().String(), p.server.Config.Handler
	p.server.CloseClientConnections()
	p.server.Close()
	b.sees("#state", "shown is how it was at")
	b.picture("gone")
	server := &http.Server{Addr: listener, Handler: handler}
	go server.ListenAndServe()
	defer server.Close()
	b.sees("#state", "live")
}

// TestTheProcessWhoseLockACallWaitsForIsShown, as long as the call waits.
func TestTheProcessWhoseLockACallWaitsForIsShown(t *testing.T) {
	p := start(t, "production.sqlite3", sockserver.Config{})
	locker := exec.CommandContext(t.Context(), "sqlite3", p.path)
	locking := testenv.Start(t, locker)
	if _, err := io.WriteString(locking.In, "BEGIN IMMEDIATE; SELECT 'locked';\n"); err != nil {
		t.Fatal(err)
	}
	locking.Line() // it has the lock
	if _, err := p.db.Exec("PRAGMA busy_timeout = 60000"); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := p.db.Exec("UPDATE item SET name = 'updated'")
		waited <- err
	}()
	b := open(t, p.url())
	b.sees("div.holders", fmt.Sprintf("sqlite3 (process %d) has the file locked", locker.Process.Pid), "call, maybe waiting for that lock", "UPDATE item")
	b.picture("locked")
	if err := locking.End(); err != nil {
		t.Error(err)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
	b.gone("div.holders *")
	b.silent()
}

func TestWhoElseHasItOpenAndWhatIsWrongIsShown(t *testing.T) {
	p := start(t, "production.sqlite3", mayPush)
	if err := os.WriteFile(filepath.Join(p.dir, "broken.sqlite3"), []byte("this is no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, ok := driver.Lookup(p.path)
	if !ok {
		t.Fatal("it is not managed")
	}
	for i := range 14 {
		f, err := d.Freeze(t.Context(), driver.FreezeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i*7%11) * 200 * time.Microsecond) // for the chart to have a shape
		f.Replaced()
		f.Thaw()
	}
	reader := exec.CommandContext(t.Context(), "sh", "-c", "exec 3<\"$1\"; echo; cat", "sh", p.path)
	reading := testenv.Start(t, reader)
	reading.Line() // it has the file open
	b := open(t, p.url())
	b.sees("article[aria-label='broken.sqlite3']", "it is damaged", "Not open")
	live := "article[aria-label='production.sqlite3'] "
	b.sees(live+".openers", "Also open in", "sh", fmt.Sprint(reader.Process.Pid), "not a peer: a push goes in place")
	b.sees(live+".chart", "ms")
	if bars := eval[int](b, `document.querySelectorAll(".chart rect").length`); bars != 14 {
		t.Errorf("%d bars", bars)
	}
	b.do(chromedp.Click(chromedp.CSS(live + ".swaps summary")))
	b.sees(live+".swaps table", "15", "2", "µs")
	b.do(chromedp.Click(chromedp.CSS(live + ".swaps summary")))
	b.picture("busy")
	reading.End()
	b.gone(live + ".openers table")
	b.silent()
}
