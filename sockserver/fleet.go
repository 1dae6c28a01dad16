package sockserver

import (
	"context"
	"net/http"

	"hotswap/sockserver/page"
)

// Fleet is one that the page shows, beside the program's databases: *fleet.Node of
// hotswap/fleet is one. A program that has none links nothing of it.
type Fleet interface {
	// Overview returns how the fleet is, as JSON.
	Overview(context.Context) ([]byte, error)
	// Halt halts the rollout of a channel, and Rollback has all nodes go back to the version
	// before.
	Halt(ctx context.Context, channel string) error
	Rollback(ctx context.Context, channel string) error
}

const (
	fleetPath    = "/v1/fleet"
	haltPath     = fleetPath + "/halt"
	rollbackPath = fleetPath + "/rollback"
	paramChannel = "channel"
)

var errNoFleet = notFound("the program shows no fleet (Config.UI.Fleet)")

func notFound(detail string) error {
	p := badRequest("%s", detail)
	p.Status = http.StatusNotFound
	return p
}

// serveFleet is GET /v1/fleet.
func (ui UI) serveFleet(w http.ResponseWriter, r *http.Request) error {
	if _, err := parseQuery(r, paramID); err != nil {
		return err
	}
	if ui.Fleet == nil {
		return errNoFleet
	}
	text, err := ui.Fleet.Overview(r.Context())
	if err != nil {
		return fleetProblem(err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, err = w.Write(text)
	return err
}

// changeFleet is POST /v1/fleet/halt, and /v1/fleet/rollback.
func (ui UI) changeFleet(w http.ResponseWriter, r *http.Request) error {
	q, err := parseQuery(r, paramID, paramChannel)
	if err != nil {
		return err
	}
	if ui.Fleet == nil {
		return errNoFleet
	}
	change := ui.Fleet.Halt
	if r.URL.Path == rollbackPath {
		change = ui.Fleet.Rollback
	}
	if err := change(r.Context(), q.Get(paramChannel)); err != nil {
		return fleetProblem(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// fleetProblem is the answer to what the fleet could not do: the words are its own.
func fleetProblem(err error) error {
	return &Problem{Type: ProblemFleet, Title: "the fleet can't be read or changed", Status: http.StatusBadGateway, Detail: err.Error()}
}

// FleetHandler returns a handler of a page that shows a fleet and no program: for whoever
// operates it. What Handler says of guarding it holds here, too.
func FleetHandler(ui UI) http.Handler {
	guard := newBrowserGuard(ui)
	guard.browsersOnly = true
	mux := http.NewServeMux()
	serve := func(pattern string, e func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := e(w, r); err != nil {
				newProblem(err, "").write(w)
			}
		})
	}
	serve("GET /v1/page", func(w http.ResponseWriter, _ *http.Request) error {
		info := guard.info()
		info.FleetOnly = true
		return answerJSON(w, info)
	})
	serve("GET /v1/version", func(w http.ResponseWriter, _ *http.Request) error { return answerJSON(w, ui.version()) })
	serve("GET "+fleetPath, ui.serveFleet)
	serve("POST "+haltPath, ui.changeFleet)
	serve("POST "+rollbackPath, ui.changeFleet)
	serve("/", func(w http.ResponseWriter, r *http.Request) error {
		if !page.Serves(r) {
			return notFound("nothing is served at " + r.URL.Path)
		}
		page.ServeHTTP(w, r)
		return nil
	})
	return protected(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := guard.refuse(r); err != nil {
			newProblem(err, "").write(w)
			return
		}
		mux.ServeHTTP(w, r)
	}))
}

func (a *api) serveFleet(w http.ResponseWriter, r *http.Request, _ *command) error {
	return a.cfg.UI.serveFleet(w, r)
}

func (a *api) changeFleet(w http.ResponseWriter, r *http.Request, _ *command) error {
	return a.cfg.UI.changeFleet(w, r)
}

// version is that of the process, and whether it shows a fleet.
func (ui UI) version() VersionInfo {
	v := BuildVersion()
	v.Fleet = ui.Fleet != nil
	return v
}
