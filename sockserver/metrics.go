package sockserver

import (
	"net/http"
	"strings"

	"hotswap/driver"
	"hotswap/swapper"
)

// Metrics counts what a server does; see [Config.Metrics]. Package
// hotswap/sockserver/metrics has one for Prometheus. The methods are called
// from any goroutine.
type Metrics interface {
	// Bind is called once, by [Start] or [Handler], before any other method.
	// databases returns the driver's counters of the managed databases that it
	// has open, by resolved path; it may be called at any time from then on.
	Bind(databases func() (map[string]driver.Stats, error))
	// Count is called at the end of each push and pull. It must not block.
	Count(Outcome)
	// Handler answers GET /metrics.
	http.Handler
}

// Outcome is how a push or a pull ended, for [Metrics].
type Outcome struct {
	Verb string // "push" or "pull"
	// Database is the resolved path, or "" if the command did not name a
	// managed database.
	Database string
	// Result is "ok", "dry_run", or the last word of the problem's type, such
	// as "bad-database".
	Result string
	// Report is how far the operation came; it is zero if it did not begin.
	Report swapper.Report
}

const (
	resultOK     = "ok"
	resultDryRun = "dry_run"
)

// resultOf is the last word of a problem's type.
func resultOf(p *Problem) string {
	typ := string(p.Type)
	return typ[strings.LastIndexByte(typ, ':')+1:]
}

// bindMetrics gives the metrics, if any are wanted, their databases.
func (a *api) bindMetrics() {
	if a.cfg.Metrics == nil {
		return
	}
	a.cfg.Metrics.Bind(func() (map[string]driver.Stats, error) {
		list, err := a.listManaged()
		if err != nil {
			return nil, err
		}
		stats := make(map[string]driver.Stats)
		for _, m := range list {
			if m.db != nil {
				stats[m.path] = m.db.Stats()
			}
		}
		return stats, nil
	})
}

// count counts a command that has ended.
func (c *command) count(result string) {
	if c.api.cfg.Metrics == nil || c.verb != verbPush && c.verb != verbPull {
		return
	}
	outcome := Outcome{Verb: c.verb, Result: result}
	if c.found {
		outcome.Database = c.path
	}
	if c.report != nil {
		outcome.Report = *c.report
	}
	c.api.cfg.Metrics.Count(outcome)
}

// serveMetrics is GET /metrics.
func (a *api) serveMetrics(w http.ResponseWriter, r *http.Request, _ *command) error {
	if _, err := parseQuery(r, paramID); err != nil {
		return err
	}
	if a.cfg.Metrics == nil {
		p := badRequest("the program serves no metrics")
		p.Status, p.Hint = http.StatusNotFound, "set Config.Metrics, as hotswap/sockserver/metrics describes"
		return p
	}
	a.cfg.Metrics.ServeHTTP(w, r)
	return nil
}
