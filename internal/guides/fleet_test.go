package guides

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

func TestCommandsOfTheFleetGuideDoWhatItSays(t *testing.T) {
	w := newWorld(t)
	host := w.machine(t, "host")
	makeDatabase(t, filepath.Join(host, "new.sqlite3"), "new")
	for _, user := range []string{"ADMIN", "PUBLISHER", "NODE", "ONLOOKER"} {
		t.Setenv(user+"_PASSWORD", "secret")
	}
	walk{world: w, at: host, after: map[string]func(*testing.T){
		"hotswap-engine.service": func(t *testing.T) { w.startEngine(t, host) },
		"users.conf": func(t *testing.T) {
			opts, err := server.ProcessConfigFile(filepath.Join(host, "engine.conf"))
			if err != nil {
				t.Fatal(err)
			}
			if !opts.JetStream || !opts.SyncAlways || len(opts.Routes) != 3 || len(opts.Users) != 4 {
				t.Errorf("the guide's configuration is of %d servers and %d users, with JetStream %v", len(opts.Routes), len(opts.Users), opts.JetStream)
			}
		},
	}}.through(t, "fleet.md")
}

// startEngine runs the engine, which ends with the test, and says where it is.
func (w world) startEngine(t *testing.T, dir string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(hotswapDir, "hotswap"), "fleet", "serve", "engine", "--listen", "127.0.0.1:0")
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(cmd) })
	line, err := bufio.NewReader(out).ReadString('\n')
	url, says := strings.CutPrefix(strings.TrimSpace(line), "engine at ")
	if err != nil || !says {
		t.Fatalf("the engine says %q: %v", line, err)
	}
	t.Setenv("HOTSWAP_ENGINE", url)
}
