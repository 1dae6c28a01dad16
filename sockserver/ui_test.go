package sockserver

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/swapper"
)

// browse asks a handler as a browser does that shows its page.
func browse(handler http.Handler, method, target string, header http.Header, body io.Reader) *http.Response {
	r := httptest.NewRequest(method, target, body)
	r.Header = header.Clone()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w.Result()
}

// fields makes a header of names and values.
func fields(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// tokenOf is what the page learns of itself.
func tokenOf(t testing.TB, handler http.Handler) (info PageInfo) {
	t.Helper()
	res := browse(handler, "GET", "/v1/page", fields("Sec-Fetch-Site", "same-origin"), nil)
	if res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("got %+v", res)
	}
	if err := json.NewDecoder(res.Body).Decode(&info); err != nil {
		t.Fatal(err)
	}
	return info
}

// handlers are the two that browsers meet, over the same database with a row in it.
func handlers(t *testing.T, ui UI) (path string, both map[string]http.Handler) {
	dir := shortDir(t)
	path = dir + "/db"
	openDatabase(t, path, 1)
	cfg := Config{DatabasePaths: []string{path}, UI: ui}
	return path, map[string]http.Handler{
		"handler": Handler(cfg),
		"proxy":   newTestClient(t, startServer(t, dir, Config{DatabasePaths: []string{path}}, nil)).Handler(ui),
	}
}

func TestABrowserIsAnsweredWithAPageThatCanRunNothingElse(t *testing.T) {
	_, both := handlers(t, UI{})
	for name, handler := range both {
		res := browse(handler, "GET", "/", fields("Accept", "text/html,*/*", "Sec-Fetch-Site", "none"), nil)
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), "<title>hotswap</title>") {
			t.Fatalf("%s: %d, %v: %s", name, res.StatusCode, err, body)
		}
		if match := regexp.MustCompile(`<script(?:>| [^>]*>)[^<]|<style|\son[a-z]+=|\sstyle=|https?://`).Find(body); match != nil {
			t.Errorf("%s: the page has %q", name, match)
		}
		parts := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(body), -1)
		if len(parts) != 3 {
			t.Errorf("%s: the page has the parts %q", name, parts)
		}
		responses := []*http.Response{res}
		for _, part := range parts {
			responses = append(responses, browse(handler, "GET", "/"+part[1], fields("Sec-Fetch-Site", "same-origin"), nil))
		}
		for i, res := range responses {
			if res.StatusCode != http.StatusOK {
				t.Errorf("%s: part %d: %s", name, i, res.Status)
			}
			policy := res.Header.Get("Content-Security-Policy")
			for _, directive := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"} {
				if !strings.Contains(policy, directive) {
					t.Errorf("%s: part %d: the policy lacks %s: %s", name, i, directive, policy)
				}
			}
			if strings.Contains(policy, "unsafe") {
				t.Errorf("%s: part %d: %s", name, i, policy)
			}
			for field, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
				"Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY",
			} {
				if got := res.Header.Get(field); got != want {
					t.Errorf("%s: part %d: %s is %q, want %q", name, i, field, got, want)
				}
			}
		}
		// And what is no page is no page.
		for _, target := range []string{"/page/", "/page/page.go", "/page/index.html", "/page.css", "/v2/x"} {
			if res := browse(handler, "GET", target, fields("Accept", "text/html"), nil); res.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %s: %s", name, target, res.Status)
			}
		}
		if res := browse(handler, "GET", "/", fields("Accept", "*/*"), nil); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: curl is answered with %s", name, res.Status)
		}
	}
}

// TestThePagesScriptsMakeNoMarkup: what a browser would refuse to do is not tried either.
func TestThePagesScriptsMakeNoMarkup(t *testing.T) {
	scripts, err := filepath.Glob("page/*.js")
	if err != nil || len(scripts) < 5 {
		t.Fatalf("%q, %v", scripts, err)
	}
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		if match := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|https?://[^w]|import\(`).Find(text); match != nil {
			t.Errorf("%s has %q", script, match)
		}
	}
}

func TestWhatAnotherSitesPageAsksForIsRefused(t *testing.T) {
	path, both := handlers(t, UI{AllowPush: true})
	snapshot, push := "/v1/snapshot?path="+path, "/v1/database?skip_schema_check&path="+path
	for name, handler := range both {
		token := tokenOf(t, handler).Token
		for _, test := range []struct {
			method, target string
			header         http.Header
		}{
			{"GET", snapshot, fields("Sec-Fetch-Site", "cross-site")},
			{"GET", snapshot, fields("Sec-Fetch-Site", "same-site")},
			{"GET", snapshot, fields("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")},
			{"GET", "/v1/databases", fields("Origin", "http://evil.example")},
			{"GET", "/v1/page", fields("Origin", "null")},
			{"GET", "/", fields("Accept", "text/html", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe")},
			{"GET", "/page/main.js", fields("Sec-Fetch-Site", "cross-site")},
			{"PUT", push, fields("Sec-Fetch-Site", "cross-site", headerToken, token)},
			{"PUT", push, fields("Origin", "http://evil.example", headerToken, token)},
			{"PUT", push, fields("Origin", "http://example.com:81", headerToken, token)},
			{"PUT", push, fields("Origin", "http://example.com")},
			{"PUT", push, fields("Sec-Fetch-Site", "same-origin")},
			{"PUT", push, fields("Sec-Fetch-Site", "same-origin", headerToken, token[1:])},
			{"POST", push, fields("Origin", "http://evil.example", "Content-Type", "text/plain")},
			{"OPTIONS", push, fields("Origin", "http://evil.example", "Access-Control-Request-Method", "PUT")},
		} {
			res := browse(handler, test.method, test.target, test.header, strings.NewReader("x"))
			if err := readProblem(res); res.StatusCode != http.StatusForbidden || res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s: %s %s with %v: %d: %v", name, test.method, test.target, test.header, res.StatusCode, err)
			}
		}
		for _, header := range []http.Header{
			fields("Origin", "http://example.com", headerToken, token),
			fields("Origin", "https://example.com", "Sec-Fetch-Site", "same-origin", headerToken, token), // a proxy took TLS away
		} {
			res := browse(handler, "PUT", push, header, strings.NewReader("x"))
			if p := assertProblem(t, readProblem(res), ProblemBad); p.Status != http.StatusUnprocessableEntity {
				t.Errorf("%s: the page's own push: %+v", name, p)
			}
		}
		if res := browse(handler, "GET", "/", fields("Accept", "text/html", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"), nil); res.StatusCode != http.StatusOK {
			t.Errorf("%s: a link to the page: %s", name, res.Status)
		}
	}
}

func TestABrowserMayOnlyLookUnlessTheProgramSaysMore(t *testing.T) {
	path, both := handlers(t, UI{})
	for name, handler := range both {
		if info := tokenOf(t, handler); info != (PageInfo{}) {
			t.Errorf("%s: the page may %+v", name, info)
		}
		for _, header := range []http.Header{
			fields("Origin", "http://example.com"),
			fields("Sec-Fetch-Site", "same-origin", headerToken, ""),
			fields("Sec-Fetch-Site", "none"),
		} {
			res := browse(handler, "PUT", "/v1/database?skip_schema_check&path="+path, header, strings.NewReader("x"))
			if p := assertProblem(t, readProblem(res), ProblemNotAllowed); !strings.Contains(p.Hint, "Config.UI.AllowPush") {
				t.Errorf("%s: got %+v", name, p)
			}
		}
		if res := browse(handler, "GET", "/v1/snapshot?path="+path, fields("Sec-Fetch-Site", "same-origin"), nil); res.StatusCode != http.StatusOK || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: a pull: %s, %v", name, res.Status, res.Header)
		}
	}
	// What is no browser is not concerned by it, and there is none at the proxy.
	res := browse(both["handler"], "PUT", "/v1/database?skip_schema_check&path="+path, http.Header{}, strings.NewReader("x"))
	assertProblem(t, readProblem(res), ProblemBad)
	res = browse(both["proxy"], "PUT", "/v1/database?skip_schema_check&path="+path, http.Header{}, strings.NewReader("x"))
	assertProblem(t, readProblem(res), ProblemNotAllowed)
}

func TestAProxySaysThatTheProgramIsAway(t *testing.T) {
	c := NewClient(ClientConfig{SocketPath: shortDir(t) + "/none.sock"})
	res := browse(c.Handler(UI{}), "GET", "/v1/databases", fields("Sec-Fetch-Site", "same-origin"), nil)
	if p := assertProblem(t, readProblem(res), ProblemInternal); p.Status != http.StatusBadGateway || !strings.Contains(p.Detail, "there is no such socket") {
		t.Errorf("got %+v", p)
	}
}

// TestWhatProtectsAnAnswerIsThereOnce: of a Cross-Origin-Resource-Policy that it gets twice
// a browser takes no notice.
func TestWhatProtectsAnAnswerIsThereOnce(t *testing.T) {
	path, both := handlers(t, UI{})
	for name, handler := range both {
		for _, path := range []string{"/", "/v1/page", "/v1/databases", "/v1/snapshot?path=" + path, "/v1/snapshot?path=none", "/nothing", "//v1/databases"} {
			res := browse(handler, "GET", path, fields("Sec-Fetch-Site", "same-origin", "Accept", "text/html"), nil)
			for _, field := range []string{"X-Content-Type-Options", "Cross-Origin-Resource-Policy", "Referrer-Policy", "Cache-Control"} {
				if values := res.Header.Values(field); len(values) != 1 {
					t.Errorf("%s: %s: %s is %q", name, path, field, values)
				}
			}
		}
	}
}

// TestAnEarlyRefusalReachesABrowserThatIsStillSending: a Write that fails since the server
// has closed makes net/http drop the answer that came before.
func TestAnEarlyRefusalReachesABrowserThatIsStillSending(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 0)
	s := startServer(t, dir, Config{}, func(a *api) {
		a.push = func(_ context.Context, _ *driver.Database, src io.Reader, _ swapper.PushOptions) (swapper.Report, error) {
			io.ReadFull(src, make([]byte, 1000))
			return swapper.Report{}, &swapper.Error{Op: "check", Path: "/db", Err: swapper.ErrBadDatabase}
		}
	})
	handler := newTestClient(t, s).Handler(UI{AllowPush: true})
	header := fields("Sec-Fetch-Site", "same-origin", headerToken, tokenOf(t, handler).Token)
	for range 30 {
		res := browse(handler, "PUT", "/v1/database?path=database", header, io.LimitReader(zeros{}, 64<<20))
		assertProblem(t, readProblem(res), ProblemBad)
	}
}
