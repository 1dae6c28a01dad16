package guides

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"hotswap/internal/testenv"
)

// TestCommandsOfTheGuideOnOtherEnginesDoWhatItSays has a real PostgreSQL, and a
// program whose callers go on while its database comes from there.
func TestCommandsOfTheGuideOnOtherEnginesDoWhatItSays(t *testing.T) {
	w := newWorld(t)
	w.startPostgres(t, `CREATE TABLE item (id serial PRIMARY KEY, name text, price integer NOT NULL CHECK (price > 0), added timestamptz DEFAULT now());
		INSERT INTO item (name, price) SELECT 'item ' || i, i * 3 / 2 + i % 2 FROM generate_series(1, 2000) i`)
	app := w.machine(t, "host", "db")
	makeDatabase(t, filepath.Join(app, "db/production.sqlite3"), "old")
	w.start(t, app, socket, "program", "-load", "db/production.sqlite3")
	walk{world: w, at: app}.through(t, "engines.md")
	if said, err := os.ReadFile(filepath.Join(app, "app.log")); err != nil || strings.Contains(string(said), "a call failed") {
		t.Errorf("the program says: %s (%v)", said, err)
	}
}

// startPostgres starts a server of its own with the database shop in it, which is
// what psql finds until the test ends.
func (w world) startPostgres(t *testing.T, schema string) {
	t.Helper()
	bin := postgresBin()
	for _, tool := range []string{"sequel", "psql", "createdb", filepath.Join(bin, "postgres")} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, "the guide's commands need %v", err)
		}
	}
	dir := w.machine(t, "postgres", "run")
	// The server refuses to run as root.
	var credential *syscall.Credential
	if os.Geteuid() == 0 {
		credential = postgresUser(t)
		for _, path := range []string{dir, filepath.Join(dir, "run")} {
			if err := os.Chown(path, int(credential.Uid), int(credential.Gid)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(w.dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	t.Setenv("PGHOST", filepath.Join(dir, "run"))
	t.Setenv("PGUSER", "postgres")
	run(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	pgCtl := filepath.Join(bin, "pg_ctl")
	run(pgCtl, "-D", data, "-w", "-l", filepath.Join(dir, "log"),
		"-o", fmt.Sprintf("-k %s -c listen_addresses='' -c fsync=off", filepath.Join(dir, "run")), "start")
	t.Cleanup(func() { run(pgCtl, "-D", data, "-m", "immediate", "stop") })
	run("createdb", "shop")
	run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-c", schema, "shop")
}

// postgresBin is where Debian has the newest server's programs, "" if it has none.
func postgresBin() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.Sort(found)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

func postgresUser(t *testing.T) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup("postgres")
	if err != nil {
		testenv.Skip(t, "root needs another user for PostgreSQL: %v", err)
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
