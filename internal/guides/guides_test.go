package guides

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"hotswap/internal/testenv"
)

// hotswapDir is where the built command is.
var hotswapDir string

type building struct{ *testing.M }

// Run builds the command, which the guides are about, as one of them says.
func (b building) Run() int {
	dir, err := os.MkdirTemp("", "hs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	hotswapDir = dir
	testenv.Parallel(4)
	return b.M.Run()
}

// build builds the command into dir with the line of the containers guide's
// Dockerfile: it must work, and a second linking would take seconds.
func build(dir string) error {
	text, err := os.ReadFile("../../docs/containers.md")
	if err != nil {
		return err
	}
	line := regexp.MustCompile(`(?m)^RUN cd /src/hotswap && (go build .*)$`).FindSubmatch(text)
	if line == nil {
		return errors.New("the Dockerfile does not build hotswap")
	}
	// Without what is for debuggers it takes half the time.
	cmd := exec.Command("sh", "-c", strings.NewReplacer("/out/", dir+"/", "-ldflags '", "-ldflags '-s -w ").Replace(string(line[1])))
	cmd.Dir = "../.."
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", line[1], err, said)
	}
	return nil
}

func TestMain(m *testing.M) {
	testscript.Main(building{m}, map[string]func(){
		"program":    programMain,
		"ssh":        sshMain,
		"docker":     dockerMain,
		"kubectl":    kubectlMain,
		"fly":        flyMain,
		"sudo":       sudoMain,
		"systemctl":  systemctlMain,
		"journalctl": journalctlMain,
		"litestream": litestreamMain,
		"reader":     readerMain,
	})
}

const socket = "tmp/sockets/hotswap.sock"

func TestCommandsOfTheSSHGuideDoWhatItSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app := w.machine(t, "prod", "app/db") + "/app"
	laptop := w.machine(t, "laptop")
	makeDatabase(t, filepath.Join(app, "db/production.sqlite3"), "old")
	makeDatabase(t, filepath.Join(laptop, "new.sqlite3"), "new")
	w.start(t, app, socket, "program", "db/production.sqlite3")
	walk{world: w, at: laptop}.through(t, "ssh.md")
}

func TestCommandsOfTheGuideToOtherMachinesDoWhatItSays(t *testing.T) {
	w := newWorld(t)
	laptop := w.machine(t, "laptop", "app/db")
	makeDatabase(t, filepath.Join(laptop, "new.sqlite3"), "new")
	makeDatabase(t, filepath.Join(laptop, "app/db/production.sqlite3"), "test")
	t.Setenv("HOME", laptop)
	for _, name := range []string{"prod", "staging"} {
		app := w.machine(t, name, "app/db", "elsewhere") + "/app"
		makeDatabase(t, filepath.Join(app, "db/production.sqlite3"), "old")
		w.start(t, app, socket, "program", "db/production.sqlite3")
	}
	w.start(t, laptop+"/app", socket, "program", "db/production.sqlite3")
	makeDatabase(t, filepath.Join(w.machine(t, "volume"), "production.sqlite3"), "old")
	w.startContained(t, "web", "volume")
	walk{world: w, at: laptop}.through(t, "remote.md")
}

func TestCommandsOfTheRollbackGuideDoWhatItSays(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
	w := newWorld(t)
	app := w.machine(t, "host", "db")
	for _, name := range []string{"db/production", "db/cache", "db/queue", "new"} {
		makeDatabase(t, filepath.Join(app, name+".sqlite3"), filepath.Base(name))
	}
	first := w.start(t, app, socket, "program", "db/production.sqlite3", "db/cache.sqlite3", "db/queue.sqlite3")
	walk{world: w, at: app,
		after: map[string]func(*testing.T){"main.go": func(t *testing.T) {
			stop(first)
			// The program makes what it needs.
			for _, name := range []string{"cache", "queue"} {
				if err := os.Remove(filepath.Join(app, "db", name+".sqlite3")); err != nil {
					t.Fatal(err)
				}
			}
			w.start(t, app, socket, filepath.Join(app, "main"))
		}},
		before: map[string]func(*testing.T){
			"--method=rename": func(t *testing.T) { w.read(t, "reader", filepath.Join(app, "db/production.sqlite3")) },
		},
	}.through(t, "databases.md")
	if said, err := os.ReadFile(filepath.Join(app, "app.log")); err != nil || strings.Contains(string(said), "no such table") {
		t.Errorf("the guide's program says: %s (%v)", said, err)
	}
}

func TestCommandsOfTheLitestreamGuideDoWhatItSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app := w.machine(t, "host", "db")
	live := filepath.Join(app, "db/production.sqlite3")
	itsTables := []string{"CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)", "CREATE TABLE _litestream_lock (id INTEGER)"}
	makeDatabase(t, live, "old", itsTables...)
	makeDatabase(t, filepath.Join(app, "new.sqlite3"), "new", itsTables...)
	makeDatabase(t, filepath.Join(w.machine(t, "replica"), "production.sqlite3"), "older", itsTables...)
	makeDatabase(t, filepath.Join(app, "plain.sqlite3"), "plain")
	w.start(t, app, socket, "program", live)
	w.read(t, "litestream", "replicate", live)
	walk{world: w, at: app}.through(t, "litestream.md")
}

func TestCommandsOfTheContainersGuideDoWhatItSays(t *testing.T) {
	w := newWorld(t)
	laptop := w.machine(t, "laptop")
	makeDatabase(t, filepath.Join(laptop, "new.sqlite3"), "new")
	for _, volume := range []string{"app-data", "fly/data"} {
		makeDatabase(t, filepath.Join(w.machine(t, volume), "production.sqlite3"), "old")
	}
	fly := w.machine(t, "fly", "run")
	t.Setenv("HOTSWAP_SOCKET", "")
	w.start(t, fly, "tmp/sockets/hotswap.sock", "program", "data/production.sqlite3")
	if err := os.Symlink("../tmp/sockets/hotswap.sock", filepath.Join(fly, "run/hotswap.sock")); err != nil {
		t.Fatal(err)
	}
	w.endContainers(t)
	walk{world: w, at: laptop, after: map[string]func(*testing.T){"Dockerfile": isStatic}}.through(t, "containers.md")
}

// isStatic looks whether the command that was built needs nothing of its system.
func isStatic(t *testing.T) {
	t.Helper()
	built, err := elf.Open(filepath.Join(hotswapDir, "hotswap"))
	if err != nil {
		t.Fatal(err)
	}
	defer built.Close()
	if libraries, err := built.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it needs %v (%v)", libraries, err)
	}
}

func TestCommandsOfTheGuideToThePageDoWhatItSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	app := w.machine(t, "host", "db")
	live := filepath.Join(app, "db/production.sqlite3")
	makeDatabase(t, live, "old")
	makeDatabase(t, filepath.Join(app, "new.sqlite3"), "new")
	w.start(t, app, socket, "program", live)
	walk{world: w, at: app}.through(t, "page.md")
}

func TestCommandsOfTheSystemdGuideDoWhatItSays(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"systemd-analyze", "systemd-socket-activate"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, "the guide's units need %v", err)
		}
	}
	w := newWorld(t)
	host := w.machine(t, "host", "srv/app/db", "run/app", "var/backups/app")
	makeDatabase(t, filepath.Join(host, "srv/app/db/production.sqlite3"), "old")
	makeDatabase(t, filepath.Join(host, "new.sqlite3"), "new")
	if err := os.WriteFile(filepath.Join(host, "srv/app/app"), []byte("#!/bin/sh\nexec program db/production.sqlite3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	// The sockets of the units, which come below the guide's first command.
	var names, listen []string
	for _, b := range readGuide(t, filepath.Join(repository(t), "docs/systemd.md")) {
		if strings.HasSuffix(b.fileName(), ".socket") {
			unit := strings.Join(b.lines, "\n")
			names = append(names, setting(t, unit, "FileDescriptorName"))
			listen = append(listen, "--listen="+below(host, setting(t, unit, "ListenStream")))
		}
	}
	args := append(listen, "--fdname="+strings.Join(names, ":"), "./app")
	w.start(t, filepath.Join(host, "srv/app"), "../../run/app/hotswap.stderr.sock", "systemd-socket-activate", args...)
	if err := os.Symlink("srv/app/app.log", filepath.Join(host, "app.log")); err != nil {
		t.Fatal(err)
	}
	walk{world: w, at: host, root: host}.through(t, "systemd.md")
	verifyUnits(t, host, 5)
}

func setting(t *testing.T, unit, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(unit)
	if m == nil {
		t.Fatalf("a unit has no %s:\n%s", name, unit)
	}
	return m[1]
}

// verifyUnits has systemd read the units in dir: it only warns of what it does
// not know, so any word is a failure.
func verifyUnits(t *testing.T, dir string, atLeast int) {
	t.Helper()
	units, err := filepath.Glob(filepath.Join(dir, "app*.*"))
	if err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	var list []string
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		if ext := filepath.Ext(unit); ext == ".log" || ext == ".pid" {
			continue
		}
		placed := strings.ReplaceAll(string(text), "/usr/local/bin/", hotswapDir+"/")
		list = append(list, filepath.Join(into, filepath.Base(unit)))
		if err := os.WriteFile(list[len(list)-1], []byte(below(dir, placed)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(list) < atLeast {
		t.Errorf("only the units %v", list)
	}
	cmd := exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, list...)...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+into+":")
	if said, err := cmd.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("systemd does not like the units: %v\n%s", err, said)
	}
}
