package testapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// LoadConfig is how much load to make. The zero value makes none.
type LoadConfig struct {
	// Readers and Writers are how many HTTP clients of each sort there are.
	// Each has one call under way at a time, and goes through all the sorts of
	// reads or of writes in turn.
	Readers, Writers int
	// Think is how long a client waits between two calls; 0 means not at all.
	Think time.Duration
}

// Load is HTTP clients that call the service until they are told to stop.
type Load struct {
	svc    *Service
	client *http.Client
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// readCalls and writeCalls are what the clients do in turn, by the last part
// of the address.
func readCalls() []endpoint {
	return []endpoint{
		{CallStatement, "statement", ""},
		{CallNested, "nested", ""},
		{CallPrepared, "prepared", ""},
		{CallTransaction, "transaction", ""},
		{CallCached, "cached", ""},
	}
}

func writeCalls() []endpoint {
	return []endpoint{
		{CallInsert, "insert", Single},
		{CallPair, "pair", Pair},
		{CallCounter, "counter", Counter},
		{CallEnqueue, "enqueue", Single},
	}
}

// endpoint is one call of the service's API.
type endpoint struct {
	call Call
	name string
	kind Kind // of a write
}

// StartLoad makes load until Stop. Every call is counted in the service's
// Meter, and recorded in its History if it has one. The names of the writers
// are the same each time, so a History can follow one Load only.
func (s *Service) StartLoad(cfg LoadConfig) *Load {
	stopping, stop := context.WithCancel(s.stopping)
	l := &Load{
		svc: s,
		client: &http.Client{Transport: &http.Transport{
			MaxIdleConnsPerHost: cfg.Readers + cfg.Writers,
		}},
		stop: stop,
	}
	for i := range cfg.Readers {
		l.wg.Go(func() {
			l.run(stopping, cfg.Think, fmt.Sprintf("reader%d", i+1), i, readCalls(), l.read)
		})
	}
	for i := range cfg.Writers {
		l.wg.Go(func() {
			l.run(stopping, cfg.Think, fmt.Sprintf("writer%d", i+1), i, writeCalls(), l.write)
		})
	}
	return l
}

// Stop lets each client end the call that it is in, and waits for that.
func (l *Load) Stop() {
	l.stop()
	l.wg.Wait()
	l.client.CloseIdleConnections()
}

// run is one client. Clients start at different calls, so that all sorts are
// under way at once.
func (l *Load) run(stopping context.Context, think time.Duration, name string, first int, calls []endpoint,
	call func(ctx context.Context, name string, seq int64, e endpoint)) {
	for seq := int64(1); stopping.Err() == nil; seq++ {
		// The call's context is the service's: Stop does not cut calls short,
		// or the last write of each client would be in doubt.
		call(l.svc.calls, name, seq, calls[(first+int(seq))%len(calls)])
		if think > 0 && !pace(stopping, think) {
			return
		}
	}
}

func (l *Load) read(ctx context.Context, name string, seq int64, e endpoint) {
	l.svc.read(ctx, name, seq, e.call, func(ctx context.Context) (seen Seen, err error) {
		return seen, l.do(ctx, http.MethodGet, "/reads/"+e.name, &seen)
	})
}

func (l *Load) write(ctx context.Context, name string, seq int64, e endpoint) {
	id := ID{name, seq}
	var reply writeReply
	span, err := l.svc.observe(ctx, e.call, func(ctx context.Context) error {
		q := url.Values{"writer": {name}, "seq": {strconv.FormatInt(seq, 10)}}
		return l.do(ctx, http.MethodPost, "/writes/"+e.name+"?"+q.Encode(), &reply)
	})
	l.svc.cfg.History.AddWrite(Write{ID: id, Kind: e.kind, Span: span, Value: reply.Value, Acked: err == nil})
}

// do makes one request and decodes its answer. The body is read to its end, or
// the connection could not be used again.
func (l *Load) do(ctx context.Context, method, path string, into any) (err error) {
	req, err := http.NewRequestWithContext(ctx, method, l.svc.URL()+path, nil)
	if err != nil {
		return err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, strings.TrimSpace(string(body)))
	}
	return json.Unmarshal(body, into)
}
