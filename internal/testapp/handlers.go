package testapp

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"hotswap/driver"
)

// The service's own API:
//
//	GET  /reads/{statement,transaction,nested,prepared,cached}   {"low":2,"high":2,"stamps":64}
//	POST /writes/{insert,pair,counter,enqueue}?writer=w1&seq=17  {"value":3}
//	GET  /stats                                                  counts, latencies, the driver's counters
//	GET  /healthz                                                204
//
// Any failure is a 500 with the error as plain text.
func (s *Service) routes() http.Handler {
	mux := http.NewServeMux()
	for name, read := range map[string]func(context.Context) (Seen, error){
		"statement":   s.store.statement,
		"transaction": s.store.transaction,
		"nested":      s.store.nested,
		"prepared":    s.store.prepared,
		"cached":      s.cachedStamps,
	} {
		mux.HandleFunc("GET /reads/"+name, func(w http.ResponseWriter, r *http.Request) {
			seen, err := read(r.Context())
			s.reply(w, seen, err)
		})
	}
	for name, write := range map[string]func(context.Context, ID) error{
		"insert":  s.store.insert,
		"pair":    s.store.pair,
		"enqueue": s.store.enqueue,
	} {
		s.handleWrite(mux, name, func(ctx context.Context, id ID) (int64, error) { return 0, write(ctx, id) })
	}
	s.handleWrite(mux, "counter", func(ctx context.Context, _ ID) (int64, error) { return s.store.count(ctx) })
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) { s.reply(w, s.stats(), nil) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}

// writeReply answers a write.
type writeReply struct {
	Value int64 `json:"value"`
}

func (s *Service) handleWrite(mux *http.ServeMux, name string, write func(context.Context, ID) (int64, error)) {
	mux.HandleFunc("POST /writes/"+name, func(w http.ResponseWriter, r *http.Request) {
		seq, err := strconv.ParseInt(r.FormValue("seq"), 10, 64)
		if err != nil || r.FormValue("writer") == "" {
			http.Error(w, "want ?writer=name&seq=number", http.StatusBadRequest)
			return
		}
		value, err := write(r.Context(), ID{r.FormValue("writer"), seq})
		s.reply(w, writeReply{value}, err)
	})
}

func (s *Service) cachedStamps(ctx context.Context) (Seen, error) {
	return s.cache.get(ctx, "stamps", s.store.statement)
}

// Stats is what GET /stats answers.
type Stats struct {
	Database driver.Stats `json:"database"`
	Calls    []CallStats  `json:"calls"`
	Errors   []string     `json:"errors"`
	JobsGone int64        `json:"jobs_gone"`
}

func (s *Service) stats() Stats {
	return Stats{
		Database: s.db.Stats(),
		Calls:    s.meter.Calls(),
		Errors:   s.meter.Errors(),
		JobsGone: s.jobsGone.Load(),
	}
}

// reply answers with v, or with err if there is one. A client that is gone
// before it gets its answer is nobody's failure.
func (s *Service) reply(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.log.Debug().Err(err).Msg("answer not sent")
	}
}
