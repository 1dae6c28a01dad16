package sockserver

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"hotswap/sockserver/page"
)

// UI says what may be done from a browser; see [Config.UI].
type UI struct {
	// AllowPush enables pushes from the page. Without it a browser can only look and pull.
	AllowPush bool
	// Fleet, if set, is shown, too, and with AllowPush can be halted and rolled back: pass the
	// *fleet.Node that the program has.
	Fleet Fleet
}

// headerToken has, in a push from a browser, the token that browserGuard gave out.
const headerToken = "Hotswap-Token"

// browserGuard keeps what a browser is led to do by another site's page from being done,
// and pushes that the UI does not allow. Every browser sends Origin with what is not a
// GET, and no script can keep it from that; most send Sec-Fetch-Site with everything. A
// request that has neither is of another kind of client, which does nothing that its
// user did not ask for.
type browserGuard struct {
	ui UI
	// token is a secret of this process that only a page of the same origin can read.
	token string
	// browsersOnly is set where there are no other clients.
	browsersOnly bool
}

func newBrowserGuard(ui UI) browserGuard { return browserGuard{ui: ui, token: rand.Text()} }

// refuse returns why a request is not served, or nil.
func (g browserGuard) refuse(r *http.Request) error {
	header := r.Header
	browser := g.browsersOnly || header.Get("Origin") != "" || header.Get("Sec-Fetch-Site") != ""
	switch {
	case !sameOrigin(r) && !followsLink(r):
		return refusedBrowser("another site's page asked for this", "open the page itself")
	case r.Method == http.MethodGet || r.Method == http.MethodHead || !browser:
		return nil
	case !g.ui.AllowPush:
		return refusedBrowser("this page is for looking only", "push with `hotswap cp`, or let browsers push: Config.UI.AllowPush, or `hotswap ui --allow-push`")
	case subtle.ConstantTimeCompare([]byte(header.Get(headerToken)), []byte(g.token)) != 1:
		return refusedBrowser(fmt.Sprintf("the header %s is not the one that this process gave to its page", headerToken), "reload the page: the program was started again")
	}
	return nil
}

func refusedBrowser(detail, hint string) *Problem {
	p := notAllowed(detail)
	p.Hint = hint
	return p
}

// sameOrigin reports whether a request came from a page of the host that it is for, or
// from none.
func sameOrigin(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none": // none: the user's own doing
		return true
	case "": // not sent over plain HTTP, but for this machine
		origin := r.Header.Get("Origin")
		at, err := url.Parse(origin)
		return origin == "" || err == nil && strings.EqualFold(at.Host, r.Host)
	}
	return false
}

// followsLink reports whether the user followed a link to the page, which other sites may
// have.
func followsLink(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path == "/" &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// PageInfo is what the page asks about itself.
type PageInfo struct {
	// Push says whether it may push, and Token what it then has to send along, in the
	// header Hotswap-Token.
	Push  bool   `json:"push"`
	Token string `json:"token,omitempty"`
	// FleetOnly says that there is a fleet, and no program.
	FleetOnly bool `json:"fleet_only,omitempty"`
}

func (g browserGuard) info() PageInfo {
	if !g.ui.AllowPush {
		return PageInfo{}
	}
	return PageInfo{Push: true, Token: g.token}
}

// servePage is GET /, for what takes HTML.
func (a *api) servePage(w http.ResponseWriter, r *http.Request, _ *command) error {
	if !page.Serves(r) {
		p := badRequest("nothing is served at %s: there are %s", r.URL.Path,
			"/v1/databases, /v1/backups, /v1/database, /v1/snapshot, /v1/held, /v1/events, /v1/version, /v1/fleet and /metrics, and for a browser a page at /")
		p.Status = http.StatusNotFound
		return p
	}
	page.ServeHTTP(w, r)
	return nil
}

// servePageInfo is GET /v1/page.
func (a *api) servePageInfo(w http.ResponseWriter, r *http.Request, _ *command) error {
	if _, err := parseQuery(r, paramID); err != nil {
		return err
	}
	return answerJSON(w, a.guard.info())
}
