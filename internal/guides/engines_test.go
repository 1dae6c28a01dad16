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
	testenv.Long(t)
	w := newWorld(t)
	w.startPostgres(t, `CREATE TABLE item (id serial PRIMARY KEY, name text, price integer NOT NULL CHECK (price > 0), added timestamptz DEFAULT now());
		INSERT INTO item (name, price) SELECT 'item ' || i, i * 3 / 2 + i % 2 FROM generate_series(1, 2000) i`)
	app := w.machine(t, "host", "db")
	live := filepath.Join(app, "db/production.sqlite3")
	makeDatabase(t, live, "old", "PRAGMA user_version = 7", "CREATE TABLE schema_migrations (version)", "INSERT INTO schema_migrations VALUES (3)")
	w.start(t, app, socket, "program", "-load", "db/production.sqlite3")
	walk{world: w, at: app}.through(t, "engines.md")
	if got := output(t, app, "sqlite3", live, "PRAGMA user_version; SELECT version FROM schema_migrations"); got != "7\n3\n" {
		t.Errorf("the program's own numbers are %q after it", got)
	}
	t.Run("unfit", func(t *testing.T) { listsWhatIsUnfitForSQLite(t, app) })
	t.Run("misfits", func(t *testing.T) { listsMisfits(t, app) })
	if said, err := os.ReadFile(filepath.Join(app, "app.log")); err != nil || strings.Contains(string(said), "a call failed") {
		t.Errorf("the program says: %s (%v)", said, err)
	}
}

// listsWhatIsUnfitForSQLite runs a file of the guide's on values that do not arrive, and on
// the nearest ones that do.
func listsWhatIsUnfitForSQLite(t *testing.T, dir string) {
	output(t, dir, "createdb", "odd")
	output(t, dir, "psql", "-q", "-v", "ON_ERROR_STOP=1", "odd", "-c", `
		CREATE TABLE odd (day date, at timestamp, zoned timestamptz, n numeric, x float8, y real, hour time, there timetz, paid money);
		INSERT INTO odd VALUES ('infinity', 'infinity', '-infinity', 'Infinity', 'NaN', 'Infinity', '24:00', '03:04+02', 1),
			('0044-01-01 BC', '0044-01-01 BC', NULL, 9007199254740993, '-Infinity', NULL, NULL, NULL, NULL),
			(NULL, NULL, NULL, 'NaN', NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, 1e-400, NULL, NULL, NULL, NULL, NULL);
		CREATE TABLE fine (day date, at timestamp, zoned timestamptz, n numeric, x float8, y real, hour time, there timetz);
		INSERT INTO fine VALUES ('2026-01-02', '9999-12-31 23:59:59.999999', now(), 9999999999.99, 1e308, 0.1, '23:59:59', NULL),
			(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), ('0001-01-01', '0001-01-01', NULL, 0.1, -0.0, NULL, '00:00', NULL)`)
	const want = "odd.day|2\nodd.at|2\nodd.zoned|1\nodd.n|4\nodd.x|2\nodd.y|1\nodd.hour|1\nodd.there|1\nodd.paid|1\n"
	if got := lines(output(t, dir, "psql", "-qAtX", "-f", "unfit.sql", "odd")); got != lines(want) {
		t.Errorf("it lists\n%s, not\n%s", got, lines(want))
	}
}

// listsMisfits does so with the file for the way back.
func listsMisfits(t *testing.T, dir string) {
	const columns = `(id INTEGER PRIMARY KEY, i INT, b BOOLEAN, d DATE, at DATETIME, v VARCHAR(3), c TEXT, raw BLOB, n NUMERIC(10,2), x REAL)`
	output(t, dir, "sqlite3", "-bail", "odd.sqlite3", `CREATE TABLE odd `+columns+`; CREATE TABLE "fi'n""e" `+columns+`;
		INSERT INTO odd VALUES (-5, 'abc', 2, 'monday', 'now', 'long', 'a' || char(0), 'text', 'abc', 'x'),
			(-4, 1.5, 'true', 20260102, 1700000000, x'00', x'41', 8, x'01', 'NaN'),
			(-3, NULL, NULL, NULL, '2026-01-02 03:04:05.678+02:00', NULL, NULL, NULL, NULL, NULL);
		INSERT INTO "fi'n""e" VALUES (1, 1, 1, '2026-01-02', '2026-01-02 03:04:05.678+00:00', 'abc', 'long', x'00', 1.5, 2),
			(2, NULL, NULL, NULL, '2026-01-02T03:04:05Z', NULL, NULL, NULL, 7, NULL), (-1, 0, 0, NULL, '2026-01-02 03:04', '', '', x'', 0, 0.5)`)
	const want = "odd.i|2\nodd.b|2\nodd.d|2\nodd.at|3\nodd.v|2\nodd.c|2\nodd.raw|2\nodd.n|2\nodd.x|2\nodd.id is below 0|-3\n"
	if got := lines(output(t, dir, "sh", "-c", "sqlite3 odd.sqlite3 < misfits.sql | sqlite3 odd.sqlite3")); got != lines(want) {
		t.Errorf("it lists\n%s, not\n%s", got, lines(want))
	}
}

// lines sorts the lines of a text.
func lines(text string) string {
	list := strings.Split(strings.TrimSpace(text), "\n")
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// output runs a command and returns what it says.
func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, said)
	}
	return string(said)
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
