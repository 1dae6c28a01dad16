package sockserver

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httputil"

	"hotswap/internal/lognote"
	"hotswap/sockserver/page"

	"github.com/rs/zerolog"
)

// passedOn are the header fields of a request that a proxy passes on: none that says
// that it came from a browser, or who its user is elsewhere.
var passedOn = []string{"Accept", "Content-Type", headerDigest}

// Handler returns a handler of the page, and of what it needs of the protocol, for the
// server that the client talks to: a browser can't connect to a socket. The server sees
// requests of this process, so whoever reaches the handler may do what this user may,
// as far as ui allows; the program must guard it. A page of another origin is refused.
func (c *Client) Handler(ui UI) http.Handler {
	guard := newBrowserGuard(ui)
	guard.browsersOnly = true
	proxy := &httputil.ReverseProxy{
		Transport:     proxied{others: c.commands.Transport, pushes: c.proxiedPushes()},
		FlushInterval: -1, // status lines are shown as they come
		ErrorLog:      log.New(lognote.Writer(zerolog.Nop()), "", 0),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", "hotswap", "hotswap"
			p.Out.Header = http.Header{}
			for _, name := range passedOn {
				if values := p.In.Header.Values(name); len(values) > 0 {
					p.Out.Header[name] = values
				}
			}
			if p.Out.ContentLength != 0 {
				p.Out.Header.Set("Expect", "100-continue") // a refusal comes before the body
			}
		},
		ModifyResponse: func(res *http.Response) error {
			// The answer has them once already: a browser takes no notice of a
			// Cross-Origin-Resource-Policy that it gets twice.
			for name := range protection() {
				res.Header.Del(name)
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) { unreachable(err).write(w) },
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/page", func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, guard.info()) })
	for _, pattern := range []string{"GET /v1/databases", "GET /v1/backups", "GET /v1/events", "GET /v1/snapshot", "GET /v1/version", "PUT /v1/database",
		"GET " + fleetPath, "POST " + haltPath, "POST " + rollbackPath} {
		mux.Handle(pattern, proxy)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if page.Serves(r) {
			page.ServeHTTP(w, r)
			return
		}
		p := badRequest("nothing is served at %s", r.URL.Path)
		p.Status = http.StatusNotFound
		p.write(w)
	})
	return protected(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := guard.refuse(r); err != nil {
			newProblem(err, "").write(w)
			return
		}
		mux.ServeHTTP(finalAnswers{w}, r)
	}))
}

// proxied sends on what comes from a browser. A push has a connection of its own.
type proxied struct{ pushes, others http.RoundTripper }

func (p proxied) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPut {
		return p.pushes.RoundTrip(r)
	}
	return p.others.RoundTrip(r)
}

// proxiedPushes is a transport by which an answer arrives that comes before the whole body
// is sent.
func (c *Client) proxiedPushes() http.RoundTripper {
	transport := httpClient(c.socket, func(ctx context.Context, socket string) (net.Conn, error) {
		conn, err := c.dial(ctx, socket)
		if err != nil {
			return nil, err
		}
		return newPushConn(conn, func() {}), nil
	}).Transport.(*http.Transport)
	transport.DisableKeepAlives = true
	return transport
}

// protection has the header fields that every answer has.
func protection() http.Header {
	h := http.Header{}
	page.Protect(h)
	return h
}

// finalAnswers leaves out what comes before the answer: it was the proxy that asked to
// be told to continue, and not the browser.
type finalAnswers struct{ http.ResponseWriter }

func (w finalAnswers) WriteHeader(status int) {
	if status >= 200 {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Unwrap is for http.ResponseController.
func (w finalAnswers) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// unreachable is the problem of a server that does not answer.
func unreachable(err error) *Problem {
	p := &Problem{Type: ProblemInternal, Title: "the program does not answer", Status: http.StatusBadGateway, Detail: err.Error()}
	if errors.Is(err, context.Canceled) {
		p.Type, p.Title, p.Status = ProblemInterrupted, "interrupted", statusClientGone
	}
	return p
}
