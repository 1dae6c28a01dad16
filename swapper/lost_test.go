package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"hotswap/internal/livefile"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// rescueOf finds the commands in a hint.
var rescueOf = regexp.MustCompile(`\((cp [^)]*)\)`)

func TestAWALThatSomebodyRemovedIsNotLostByAPush(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "it is seen on Linux only")
	}
	for name, takeAway := range map[string]func(wal string) error{
		"removed":  os.Remove,
		"replaced": func(wal string) error { return os.Rename(touch(t), wal) },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal=WAL")
			s.pool.SetMaxOpenConns(1)
			s.exec("UPDATE items SET stamp = 'acknowledged'")
			if err := livefile.Lost(s.db); err != nil {
				t.Error("a database at rest is lost:", err)
			}
			if err := takeAway(s.path + "-wal"); err != nil {
				t.Fatal(err)
			}
			for _, method := range []swapper.Method{swapper.MethodAuto, swapper.MethodRename, swapper.MethodInPlace} {
				s.refuses(swapper.PushOptions{Method: method}, swapper.ErrTarget, "-wal was removed")
			}
			_, err := swapper.Pull(context.Background(), s.db, &bytes.Buffer{}, swapper.PullOptions{})
			if !errors.Is(err, swapper.ErrTarget) {
				t.Errorf("a pull: %v", err)
			}
			if s.stamp() != "acknowledged" {
				t.Error(s.stamp())
			}
			// What it says to do saves the data.
			lost := fmt.Sprint(livefile.Lost(s.db))
			commands := rescueOf.FindStringSubmatch(lost)
			if commands == nil {
				t.Fatalf("no commands in %q", lost)
			}
			shell := exec.Command("sh", "-ec", commands[1])
			shell.Dir = t.TempDir()
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			rescued, err := sql.Open("sqlite3", shell.Dir+"/rescued.sqlite3")
			if err != nil {
				t.Fatal(err)
			}
			defer rescued.Close()
			var stamps string
			if err := rescued.QueryRow(readStamps).Scan(&stamps); err != nil || stamps != "acknowledged" {
				t.Errorf("rescued %q (%v)", stamps, err)
			}
		})
	}
}

func TestALiveFileThatSomebodyRemovedIsNotOneThatIsNotThereYet(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal="+mode)
			s.stamp()
			for _, suffix := range []string{"", "-wal", "-shm"} {
				os.Remove(s.path + suffix)
			}
			if lost := livefile.Lost(s.db); lost == nil || !strings.Contains(lost.Error(), "removed or moved away") {
				t.Errorf("got %v", lost)
			}
			// A push fixes it.
			s.mustPush(source(t, "new"), swapper.PushOptions{})
			if s.stamp() != "new" || livefile.Lost(s.db) != nil {
				t.Error(s.stamp(), livefile.Lost(s.db))
			}
		})
	}
}

// touch makes an empty file.
func touch(t testing.TB) string {
	path := t.TempDir() + "/empty"
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
