package interop

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hotswap/internal/testenv"
)

// litestream is the real command, replicating one database into a directory.
type litestream struct {
	t       *testing.T
	command string
	config  string
	log     string
	cmd     *exec.Cmd
}

// build makes the command from its module, at the version in go.mod.
func build(t *testing.T) *litestream {
	t.Helper()
	command := filepath.Join(t.TempDir(), "litestream")
	if out, err := exec.Command("go", "build", "-o", command, "github.com/benbjohnson/litestream/cmd/litestream").CombinedOutput(); err != nil {
		testenv.Skip(t, "litestream must be built, which downloads it: %v\n%s", err, out)
	}
	return &litestream{t: t, command: command}
}

// configure has it look at the WAL ten times a second, and checkpoint every
// second, rather than every minute.
func (l *litestream) configure(database string) {
	l.t.Helper()
	dir := l.t.TempDir()
	l.config, l.log = filepath.Join(dir, "litestream.yml"), filepath.Join(dir, "log")
	config := fmt.Sprintf("logging: {level: debug}\ndbs:\n  - path: %s\n    monitor-interval: 100ms\n    checkpoint-interval: 1s\n"+
		"    replica: {type: file, path: %s, sync-interval: 100ms}\n", database, filepath.Join(dir, "replica"))
	if err := os.WriteFile(l.config, []byte(config), 0o600); err != nil {
		l.t.Fatal(err)
	}
}

// replicate starts it.
func (l *litestream) replicate() {
	l.t.Helper()
	log, err := os.OpenFile(l.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		l.t.Fatal(err)
	}
	defer log.Close()
	l.cmd = exec.Command(l.command, "replicate", "-config", l.config)
	l.cmd.Stdout, l.cmd.Stderr = log, log
	if err := l.cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	cmd := l.cmd
	l.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if l.t.Failed() {
			l.t.Log(l.lines("level=ERROR", "level=WARN", "level=INFO"))
		}
	})
}

// stop lets it replicate the rest and end.
func (l *litestream) stop() {
	l.t.Helper()
	if err := l.cmd.Process.Signal(syscall.SIGINT); err != nil {
		l.t.Fatal(err)
	}
	if err := l.cmd.Wait(); err != nil {
		l.t.Error(err)
	}
}

// restore returns the content that the replica has now.
func (l *litestream) restore(database string) (string, error) {
	dir := l.t.TempDir()
	path := filepath.Join(dir, "restored.sqlite3")
	if out, err := exec.Command(l.command, "restore", "-config", l.config, "-o", path, database).CombinedOutput(); err != nil {
		return "", fmt.Errorf("restore: %w: %s", err, out)
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		return "", err
	}
	defer db.Close()
	var ok string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
		l.t.Errorf("the restored database is corrupt: %s, %v", ok, err)
	}
	return digest(db)
}

// catchesUp waits until what it restores is the live content.
func (l *litestream) catchesUp(database string, pool *sql.DB) {
	l.t.Helper()
	want, err := digest(pool)
	if err != nil {
		l.t.Fatal(err)
	}
	testenv.Eventually(l.t, func() error {
		got, err := l.restore(database)
		if err == nil && got != want {
			err = errors.New("the restored content is not the live one")
		}
		return err
	})
}

// lines returns those of its log that have one of the words.
func (l *litestream) lines(words ...string) string {
	log, err := os.ReadFile(l.log)
	if err != nil {
		l.t.Fatal(err)
	}
	var found strings.Builder
	for line := range strings.Lines(string(log)) {
		for _, w := range words {
			if strings.Contains(line, w) {
				found.WriteString(line)
				break
			}
		}
	}
	return found.String()
}
