package fleet

import (
	"os/exec"
	"strings"
	"testing"
)

func TestANodeLinksNeitherTheServersNorMetrics(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "hotswap/fleet").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, unwanted := range []string{"hotswap/sockserver", "github.com/nats-io/nats-server", "github.com/prometheus/client_golang", "github.com/alecthomas/kong", "gocloud.dev", "opentelemetry"} {
		if strings.Contains(string(out), unwanted) {
			t.Errorf("a node links %s", unwanted)
		}
	}
}
