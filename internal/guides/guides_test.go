package guides

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// hotswapDir is where the built command is.
var hotswapDir string

type building struct{ *testing.M }

// Run builds the command: it is what the guides are about.
func (b building) Run() int {
	dir, err := os.MkdirTemp("", "hs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("go", "build", "-o", dir, "hotswap/cmd/hotswap").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the command: %v\n%s", err, out)
		return 1
	}
	hotswapDir = dir
	return b.M.Run()
}

func TestMain(m *testing.M) {
	testscript.Main(building{m}, map[string]func(){
		"program":    programMain,
		"ssh":        sshMain,
		"docker":     dockerMain,
		"kubectl":    kubectlMain,
		"fly":        flyMain,
		"systemctl":  systemctlMain,
		"journalctl": journalctlMain,
		"litestream": litestreamMain,
		"reader":     readerMain,
	})
}

const socket = "tmp/sockets/hotswap.sock"

func TestCommandsOfTheSSHGuideDoWhatItSays(t *testing.T) {
	w := newWorld(t)
	app := w.machine(t, "prod", "app/db") + "/app"
	laptop := w.machine(t, "laptop")
	makeDatabase(t, filepath.Join(app, "db/production.sqlite3"), "old")
	makeDatabase(t, filepath.Join(laptop, "new.sqlite3"), "new")
	w.start(t, app, socket, "program", "db/production.sqlite3")
	walk{world: w, at: laptop}.through(t, "ssh.md")
}
