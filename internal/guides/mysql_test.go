package guides

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/internal/testenv"
)

// TestCommandsOfTheGuideOnMySQLDoWhatItSays has a real MariaDB, in another time zone and
// with a name in it that takes four bytes a character.
func TestCommandsOfTheGuideOnMySQLDoWhatItSays(t *testing.T) {
	testenv.Long(t)
	w := newWorld(t)
	w.startMariaDB(t, `CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;
		CREATE TABLE item (id int unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(100), price int NOT NULL CHECK (price > 0), added timestamp DEFAULT '2026-01-02 03:04:05');
		INSERT INTO item (name, price) SELECT concat('item ', seq), seq * 3 DIV 2 + seq % 2 FROM seq_1_to_2000;
		UPDATE item SET name = '🍵 tea' WHERE id = 7;
		CREATE DATABASE gallery; USE gallery;
		CREATE TABLE photo (id int PRIMARY KEY, bytes longblob);
		INSERT INTO photo VALUES (1, x'0027'), (2, repeat(x'ff00', 128)), (3, NULL), (4, repeat(x'ff', 9000000));
		CREATE USER shop@localhost IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO shop@localhost;`)
	app := w.machine(t, "host", "db")
	makeDatabase(t, filepath.Join(app, "db/production.sqlite3"), "old")
	w.start(t, app, socket, "program", "-load", "db/production.sqlite3")
	writeFileOf(t, app, "engines.md", "misfits.sql")
	walk{world: w, at: app, before: map[string]func(*testing.T){
		"max_allowed_packet": func(t *testing.T) { refusesBlobsThatAreTooLarge(t, app) },
	}}.through(t, "mysql.md")
	t.Run("unfit", func(t *testing.T) { listsWhatSequelMakesOtherwise(t, app) })
	if said, err := os.ReadFile(filepath.Join(app, "app.log")); err != nil || strings.Contains(string(said), "a call failed") {
		t.Errorf("the program says: %s (%v)", said, err)
	}
	added, err := exec.Command("sqlite3", filepath.Join(app, "shop.sqlite3"), "SELECT DISTINCT added FROM item").CombinedOutput()
	if err != nil || string(added) != "2026-01-01 22:04:05.000000\n" {
		t.Errorf("a TIMESTAMP arrives as %q (%v): not in UTC", added, err)
	}
}

// writeFileOf writes a file of a guide.
func writeFileOf(t *testing.T, dir, guide, name string) {
	t.Helper()
	for _, b := range readGuide(t, filepath.Join(repository(t), "docs", guide)) {
		if b.fileName() == name {
			walk{at: dir}.write(t, b, name)
			return
		}
	}
	t.Fatalf("%s has no %s", guide, name)
}

// refusesBlobsThatAreTooLarge runs the commands for blobs without the one that makes room
// for them: they must not succeed without the blobs.
func refusesBlobsThatAreTooLarge(t *testing.T, dir string) {
	for _, b := range readGuide(t, filepath.Join(repository(t), "docs/mysql.md")) {
		if b.language != "console" || !strings.Contains(strings.Join(b.lines, "\n"), "SET GLOBAL") {
			continue
		}
		var script []string
		for _, one := range b.commands(t) {
			if !strings.Contains(one.text, "SET GLOBAL") && len(script) < 3 {
				script = append(script, one.text)
			}
		}
		small := filepath.Join(dir, "small")
		if err := os.Mkdir(small, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "-c", strings.Join(script, "\n"))
		cmd.Dir = small
		if said, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(said), "syntax error") {
			t.Errorf("a blob of 9 MB is lost, and %q says %s", script, said)
		}
		if got := output(t, small, "sqlite3", "photos.sqlite3", "SELECT count(*) FROM photo"); got != "0\n" {
			t.Errorf("%s rows are there all the same", got)
		}
		return
	}
	t.Error("the guide makes no room for large blobs")
}

// listsWhatSequelMakesOtherwise runs the guide's file on values that do not arrive, and on
// the nearest ones that do.
func listsWhatSequelMakesOtherwise(t *testing.T, dir string) {
	output(t, dir, "mariadb", "-e", `CREATE DATABASE odd; USE odd; SET sql_mode = '';
		CREATE TABLE odd (f float, f2 float(10,2), z int zerofill, b bit(8), raw blob, few varbinary(3), flag tinyint(1), big bigint unsigned,
			d decimal(40,20), hour time, day date, at datetime, ts timestamp NULL, here point);
		INSERT INTO odd VALUES (1234567.8, 1, 1, b'1', 'x', 'x', 2, 18446744073709551615, 9007199254740993, '30:00:00', '0000-00-00', '2026-00-00', '0000-00-00', point(1, 2)),
			(16777217, NULL, NULL, NULL, NULL, NULL, -1, NULL, 0.12345678901234567891, '-01:00', NULL, NULL, NULL, NULL);
		CREATE TABLE fine (f float, x double, flag tinyint(1), big bigint unsigned, i bigint, few tinyint, d decimal(10,2), hour time(3), day date, at datetime(6), ts timestamp NULL, v varchar(9));
		INSERT INTO fine VALUES (0.5, 1.0 / 3, 1, 9223372036854775807, -1, 100, 9999999.99, '23:59:59.999', '2026-01-02', '2026-01-02 03:04:05.678901', '2026-01-02', 'x'),
			(0.25, NULL, 0, NULL, NULL, NULL, 0.10, NULL, NULL, NULL, NULL, NULL)`)
	const want = "odd.f\t2\nodd.f2\t1\nodd.z\t1\nodd.b\t1\nodd.raw\t1\nodd.few\t1\nodd.flag\t2\nodd.big\t1\nodd.d\t2\nodd.hour\t2\nodd.day\t1\nodd.at\t1\nodd.ts\t1\nodd.here\t1\n"
	if got := lines(output(t, dir, "sh", "-c", "mariadb -BN odd < unfit.sql | mariadb -BN odd")); got != lines(want) {
		t.Errorf("it lists\n%s, not\n%s", got, lines(want))
	}
}

// startMariaDB starts a server of its own that has run the statements, and is what its
// client and Sequel find until the test ends.
func (w world) startMariaDB(t *testing.T, statements string) {
	t.Helper()
	for _, tool := range []string{"sequel", "mariadb", "mariadbd", "mariadb-install-db"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, "the guide's commands need %v", err)
		}
	}
	if exec.Command("ruby", "-e", "require 'mysql2'").Run() != nil {
		testenv.Skip(t, "the guide's commands need Ruby's mysql2")
	}
	dir := w.machine(t, "mariadb")
	data, at := filepath.Join(dir, "data"), filepath.Join(dir, "socket")
	options := fmt.Sprintf("[client]\nsocket=%s\nuser=root\ndefault-character-set=utf8mb4\n", at)
	if err := os.WriteFile(filepath.Join(dir, "my.cnf"), []byte(options), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MYSQL_HOME", dir)
	t.Setenv("MYSQL_UNIX_PORT", at)
	var user []string // else it would be mysql, who may not be there
	if os.Geteuid() == 0 {
		user = append(user, "--user=root")
	}
	install := exec.Command("mariadb-install-db", append([]string{"--no-defaults", "--datadir=" + data,
		"--auth-root-authentication-method=normal", "--skip-test-db"}, user...)...)
	if said, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", install, err, said)
	}
	server := exec.Command("mariadbd", append([]string{"--no-defaults", "--datadir=" + data, "--socket=" + at, "--skip-networking",
		"--pid-file=" + filepath.Join(dir, "pid"), "--innodb-flush-log-at-trx-commit=0", "--default-time-zone=+05:00"}, user...)...)
	var said strings.Builder
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
		if t.Failed() {
			t.Logf("the server says: %s", &said)
		}
	})
	testenv.Eventually(t, func() error { return exec.Command("mariadb", "-e", "SELECT 1").Run() })
	client := exec.Command("mariadb")
	client.Stdin = strings.NewReader(statements)
	if out, err := client.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", client, err, out)
	}
}
