package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// With serverEnv set to a database's path the test binary is the program that
// is restarted. It listens at addrEnv, or on its file 3 where that is empty.
const (
	serverEnv = "HOTSWAP_BENCH_SERVER"
	addrEnv   = "HOTSWAP_BENCH_ADDR"
)

// serve runs the program until SIGTERM, and returns its exit code.
func serve(path string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ctx, orphaned := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, os.Stdin) // ends with the benchmark, however that ends
		orphaned()
	}()
	if err := serveUntil(ctx, path); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		return 1
	}
	return 0
}

func serveUntil(ctx context.Context, path string) error {
	pool, err := openPlain("sqlite3", path)
	if err != nil {
		return err
	}
	defer pool.db.Close()
	listener, err := listen()
	if err != nil {
		return err
	}
	h := &handler{pools: pool, workers: map[string]*handled{}}
	defer h.close()
	server := &http.Server{Handler: h}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Println(listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	// A connection that a client has dialled and not used yet holds a shutdown up.
	return server.Close()
}

func listen() (net.Listener, error) {
	if addr := os.Getenv(addrEnv); addr != "" {
		return net.Listen("tcp", addr)
	}
	return net.FileListener(os.NewFile(3, "socket"))
}

// handler makes the calls of the workers for which the clients stand.
type handler struct {
	pools pools

	mu      sync.Mutex // guards workers
	workers map[string]*handled
}

// handled is a worker with the lock under which it calls.
type handled struct {
	mu sync.Mutex
	worker
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k, err := strconv.Atoi(r.FormValue("kind"))
	i, err2 := strconv.Atoi(r.FormValue("i"))
	if err != nil || err2 != nil || k < 0 || k >= int(kinds) {
		http.Error(w, "no such worker", http.StatusBadRequest)
		return
	}
	saw, err := h.worker(kind(k), r.FormValue("worker")).handle(i)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(saw)
}

func (h *handler) worker(k kind, id string) *handled {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.workers[id] == nil {
		h.workers[id] = &handled{worker: worker{kind: k, pools: h.pools}}
	}
	return h.workers[id]
}

func (w *handled) handle(i int) (seen, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.call(i)
}

func (h *handler) close() {
	for _, w := range h.workers {
		w.close()
	}
}
