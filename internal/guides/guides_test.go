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

func TestCommandsOfTheRollbackGuideDoWhatItSays(t *testing.T) {
	w := newWorld(t)
	app := w.machine(t, "host", "db")
	live := filepath.Join(app, "db/production.sqlite3")
	makeDatabase(t, live, "old")
	makeDatabase(t, filepath.Join(app, "new.sqlite3"), "new")
	makeDatabase(t, filepath.Join(app, "wider.sqlite3"), "wide", "ALTER TABLE item ADD COLUMN colour TEXT")
	makeDatabase(t, filepath.Join(app, "empty.sqlite3"), "none", "DELETE FROM item")
	first := w.start(t, app, socket, "program", live)
	walk{world: w, at: app, after: map[string]func(*testing.T){
		"main.go": func(t *testing.T) {
			stop(first)
			if err := os.Remove(live); err != nil {
				t.Fatal(err)
			}
			makeDatabase(t, live, "old")
			w.start(t, app, socket, filepath.Join(app, "main"))
		},
	}}.through(t, "rollback.md")
}

func TestCommandsOfTheGuideForArrivingDoWhatItSays(t *testing.T) {
	w := newWorld(t)
	app := w.machine(t, "host", "db")
	live := filepath.Join(app, "db/production.sqlite3")
	makeDatabase(t, live, "old")
	makeDatabase(t, filepath.Join(app, "other.sqlite3"), "other")
	makeDatabase(t, filepath.Join(app, "more.sqlite3"), "more")
	if err := os.WriteFile(filepath.Join(app, "items.csv"), []byte("id,name,price\n1,tea,250\n2,\"cups, four\",1200\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.start(t, app, socket, "program", live)
	walk{world: w, at: app}.through(t, "arriving.md")
}

func TestCommandsOfTheGuideOnSeveralDatabasesDoWhatItSays(t *testing.T) {
	w := newWorld(t)
	app := w.machine(t, "host", "db")
	for _, name := range []string{"db/production", "db/cache", "db/queue", "new"} {
		makeDatabase(t, filepath.Join(app, name+".sqlite3"), filepath.Base(name))
	}
	first := w.start(t, app, socket, "program", "db/production.sqlite3", "db/cache.sqlite3", "db/queue.sqlite3")
	walk{world: w, at: app,
		after: map[string]func(*testing.T){"main.go": func(t *testing.T) {
			stop(first)
			w.start(t, app, socket, filepath.Join(app, "main"))
		}},
		before: map[string]func(*testing.T){
			"--method=rename": func(t *testing.T) { w.read(t, filepath.Join(app, "db/production.sqlite3")) },
		},
	}.through(t, "databases.md")
}
