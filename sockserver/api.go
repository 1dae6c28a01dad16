package sockserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"

	"hotswap/internal/lognote"
	"hotswap/internal/printable"
	"hotswap/sockserver/page"
	"hotswap/swapper"
)

// api serves the protocol; [Server] puts it on sockets, [Handler] on a mux.
type api struct {
	cfg     Config
	program *program
	outlet  *outlet

	// push and pull are the swapper's, but for tests of what it can't be made
	// to do at will.
	push pushFunc
	pull pullFunc

	guard browserGuard

	// orphansMu guards orphansSeen, the databases beside which orphans have
	// been looked for.
	orphansMu   sync.Mutex
	orphansSeen map[string]bool

	held heldSnapshots
}

func newAPI(cfg Config, p *program) *api {
	a := &api{
		cfg:         cfg,
		program:     p,
		outlet:      p.feed.outlet(),
		guard:       newBrowserGuard(cfg.UI),
		push:        swapper.Push,
		pull:        swapper.Pull,
		orphansSeen: make(map[string]bool),
		held:        heldSnapshots{patience: cfg.stallTimeout(), byID: make(map[string]*heldSnapshot)},
	}
	a.bindMetrics()
	return a
}

// Handler returns a handler of the protocol, with the status lines at /v1/events,
// for a program to mount on a mux of its own; behind a prefix, wrap it in
// [http.StripPrefix]. A browser that opens it is answered with a page, which shows the
// databases, pulls them, and with Config.UI.AllowPush pushes; see docs/page.md.
//
// It checks no peer: whoever reaches it may read and replace every managed
// database, so the program must guard it. What a page of another site has a browser
// do is refused. A mistake in cfg is the answer to each request. There is nothing to
// close.
//
// Status lines, ids, the list of what is in progress and the limit of pulls are the
// program's, shared with its other Handlers and with Servers, as far as their databases
// are the same.
func Handler(cfg Config) http.Handler {
	return newAPI(cfg, theProgram).handler()
}

// endpoint is a handler whose error becomes the answer.
type endpoint func(http.ResponseWriter, *http.Request, *command) error

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	a.handle(mux, http.MethodGet, "/v1/databases", "list", a.serveDatabases)
	a.handle(mux, http.MethodGet, backupsPath, "backups", a.serveBackups)
	a.handle(mux, http.MethodGet, "/v1/version", "version", a.serveVersion)
	a.handle(mux, http.MethodGet, "/metrics", "metrics", a.serveMetrics)
	a.handle(mux, http.MethodGet, "/v1/events", "events", a.serveEvents)
	a.handle(mux, http.MethodGet, "/v1/snapshot", verbPull, a.serveSnapshot)
	a.handle(mux, http.MethodPut, "/v1/database", verbPush, a.servePush)
	a.handle(mux, http.MethodPost, "/v1/held", "hold", a.serveHold)
	a.handle(mux, http.MethodPost, "/v1/held/hashes", "hashes", a.serveHashes)
	a.handle(mux, http.MethodPost, "/v1/held/patch", verbPull, a.servePatch)
	a.handle(mux, http.MethodPost, "/v1/held/release", "release", a.serveRelease)
	a.handle(mux, http.MethodGet, "/v1/page", "page", a.servePageInfo)
	a.handle(mux, http.MethodGet, fleetPath, "fleet", a.serveFleet)
	a.handle(mux, http.MethodPost, haltPath, "halt", a.changeFleet)
	a.handle(mux, http.MethodPost, rollbackPath, "rollback", a.changeFleet)
	mux.Handle("/", a.endpoint("page", a.servePage))
	return protected(mux)
}

// eventsHandler is what the stderr socket serves: the feed, at whatever path.
func (a *api) eventsHandler() http.Handler {
	mux := http.NewServeMux()
	a.handle(mux, http.MethodGet, "/", "events", a.serveEvents)
	return protected(mux)
}

// protected is for the mux's own answers, too: it redirects from a path that is not clean.
func protected(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.Protect(w.Header())
		next.ServeHTTP(w, r)
	})
}

// handle mounts an endpoint for one method; any other is refused.
func (a *api) handle(mux *http.ServeMux, method, path, verb string, e endpoint) {
	mux.Handle(path, a.endpoint(verb, func(w http.ResponseWriter, r *http.Request, cmd *command) error {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", method)
			p := badRequest("%s %s: only %s is served there", r.Method, r.URL.Path, method)
			p.Status = http.StatusMethodNotAllowed
			return p
		}
		if r.Method == http.MethodHead && verb != "list" && verb != "version" {
			return badRequest("HEAD %s: use GET", r.URL.Path)
		}
		return e(w, r, cmd)
	}))
}

// endpoint wraps e in what every request needs: a check of the peer, a command to
// log, and an answer to an error or a panic.
func (a *api) endpoint(verb string, e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cmd := newCommand(a, verb, r)
		tracked := &responseWriter{ResponseWriter: w}
		cmd.descriptor = takeDescriptor(r.Context())
		defer cmd.descriptor.Close()
		defer func() {
			switch caught := recover(); caught {
			case nil:
			case http.ErrAbortHandler:
				panic(caught) // a snapshot that breaks off on purpose: net/http drops the connection
			default:
				lognote.Send(cmd.log.Error().Interface(fieldPanic, caught).Bytes(fieldStack, debug.Stack()), "panic in a handler")
				cmd.answer(tracked, &Problem{
					Type:   ProblemInternal,
					Title:  "the server panicked",
					Status: http.StatusInternalServerError,
					Detail: "the server panicked; its log has the stack",
					Hint:   "run `hotswap status` to see which database is live",
				})
			}
		}()
		err := a.authorize(r)
		if err == nil {
			cmd.listed = verb == verbPush || verb == verbPull
			if err = checkAnnounced(cmd.descriptor, r, verb); err == nil {
				err = e(tracked, r, cmd)
			}
		}
		if err != nil {
			cmd.fail(tracked, err)
		}
	})
}

// authorize refuses a peer that may not use the socket, what a browser may not do, and
// every request of a Handler whose configuration is wrong.
func (a *api) authorize(r *http.Request) error {
	if refusal, refused := r.Context().Value(refusalKey{}).(*Problem); refused {
		return refusal
	}
	if err := a.guard.refuse(r); err != nil {
		return err
	}
	return a.cfg.validate()
}

// answerJSON answers 200 with a body that is complete once it is written.
func answerJSON(w http.ResponseWriter, value any) error {
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	body = append(printable.JSON(body), '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, err = w.Write(body)
	if err != nil {
		return errAnswerLost
	}
	return nil
}

// errAnswerLost is the error of a client that left before its answer.
var errAnswerLost = errors.New("the client left before its answer")

// removeOrphans removes what a killed push left beside databases, once per
// database; first are those for which this was the time.
func (a *api) removeOrphans(paths []string) (first []string) {
	a.orphansMu.Lock()
	defer a.orphansMu.Unlock()
	for _, path := range paths {
		if !a.orphansSeen[path] {
			a.orphansSeen[path] = true
			first = append(first, path)
		}
	}
	swapper.RemoveOrphansOf(first, func(path string, orphans swapper.Orphans, err error) {
		orphans.Log(a.cfg.Logger, path)
		if err != nil {
			lognote.Send(a.cfg.Logger.Warn().Err(err).Str(fieldPath, path), "could not remove what a killed push left behind")
		}
	})
	return first
}

// responseWriter knows whether the answer has begun.
type responseWriter struct {
	http.ResponseWriter
	began bool
}

func (w *responseWriter) WriteHeader(status int) {
	// 1xx answers are not the answer.
	w.began = w.began || status >= 200
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.began = true
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// causeOf adds why ctx ended to an error that says only that it did: the
// client left, or the server is stopping.
func causeOf(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil || !errors.Is(err, ctx.Err()) || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}
