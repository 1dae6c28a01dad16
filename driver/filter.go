package driver

import "hotswap/internal/sqltext"

// filter is what may not pass a gate that is open to everything else.
type filter struct {
	queries map[string]bool
	begins  bool // BEGIN and SAVEPOINT, by call or by SQL text
	writes  bool // all that is not known to only read
	shared  bool // new connections with a shared cache
}

// newFilter stops what would make these holds again. It knows only those of one
// attempt: a query inside a loop, taken for the loop's own because it happened to be
// slow, must not be stopped for good.
func newFilter(holders []Holder) *filter {
	f := &filter{queries: map[string]bool{}}
	for _, h := range holders {
		switch h.Kind {
		case HoldRows:
			f.queries[h.Query] = true
		case HoldTx, HoldRaw:
			f.begins = true
		case HoldCall: // ends by itself
		}
	}
	return f
}

func (f *filter) stopsAny() bool { return f.begins || f.writes || len(f.queries) > 0 }

func (f *filter) stops(query string) bool {
	if f.writes && !readsOnly(query) {
		return true
	}
	if f.queries[noted(query)] {
		return true
	}
	return f.begins && sqltext.Classify(query).All&sqltext.Begins != 0
}

// readsOnly reports whether a call's text only reads, or concerns only its own
// connection. It does not see a SELECT whose functions write.
func readsOnly(query string) bool {
	switch query {
	case "connect", "ping":
		return true
	}
	return sqltext.Classify(query).ReadsOnly()
}
