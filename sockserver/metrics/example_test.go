package metrics_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"hotswap/sockserver"
	"hotswap/sockserver/metrics"
)

func Example() {
	dir, err := os.MkdirTemp("", "hs")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	m := metrics.New()
	server, err := sockserver.Start(sockserver.Config{
		SocketPath: filepath.Join(dir, "hotswap.sock"),
		Metrics:    m, // GET /metrics on the socket
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	// A program that has a registry of its own registers them there, too.
	registry := prometheus.NewRegistry()
	fmt.Println(registry.Register(m))
	// Output: <nil>
}
