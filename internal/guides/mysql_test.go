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
	w := newWorld(t)
	w.startMariaDB(t, `CREATE DATABASE shop CHARACTER SET utf8mb4; USE shop;
		CREATE TABLE item (id int unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(100), price int NOT NULL CHECK (price > 0), added timestamp DEFAULT '2026-01-02 03:04:05');
		INSERT INTO item (name, price) SELECT concat('item ', seq), seq * 3 DIV 2 + seq % 2 FROM seq_1_to_2000;
		UPDATE item SET name = '🍵 tea' WHERE id = 7;
		CREATE DATABASE gallery; USE gallery;
		CREATE TABLE photo (id int PRIMARY KEY, bytes blob);
		INSERT INTO photo VALUES (1, x'0027'), (2, repeat(x'ff00', 128)), (3, NULL);
		CREATE USER shop@localhost IDENTIFIED BY 'secret'; GRANT ALL ON *.* TO shop@localhost;`)
	app := w.machine(t, "host", "db")
	makeDatabase(t, filepath.Join(app, "db/production.sqlite3"), "old")
	w.start(t, app, socket, "program", "-load", "db/production.sqlite3")
	walk{world: w, at: app}.through(t, "mysql.md")
	if said, err := os.ReadFile(filepath.Join(app, "app.log")); err != nil || strings.Contains(string(said), "a call failed") {
		t.Errorf("the program says: %s (%v)", said, err)
	}
	added, err := exec.Command("sqlite3", filepath.Join(app, "shop.sqlite3"), "SELECT DISTINCT added FROM item").CombinedOutput()
	if err != nil || string(added) != "2026-01-01 22:04:05.000000\n" {
		t.Errorf("a TIMESTAMP arrives as %q (%v): not in UTC", added, err)
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
