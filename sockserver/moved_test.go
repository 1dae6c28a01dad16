package sockserver

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/internal/testenv"
)

// TestCommandsGoToWhatATurnedSymlinkNamesNow: at once, without a restart, and when
// the directory of before is gone.
func TestCommandsGoToWhatATurnedSymlinkNamesNow(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	turn := func(rel string, rows int) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, rel), 0o700); err != nil {
			t.Fatal(err)
		}
		makeDatabase(t, filepath.Join(dir, rel, "db"), rows)
		if err := os.Symlink(rel, filepath.Join(dir, "next")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")); err != nil {
			t.Fatal(err)
		}
	}
	turn("rel1", 1)
	name := filepath.Join(dir, "current", "db")
	pool := openDatabaseAt(t, name)
	c := newTestClient(t, startServer(t, dir, Config{}, nil))
	if n := rowsIn(t, pool); n != 1 {
		t.Fatal(n)
	}
	turn("rel2", 2)
	var pulled bytes.Buffer
	if _, err := c.Snapshot(t.Context(), name, &pulled, SnapshotParams{}); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "copy")
	writeFile(t, copied, pulled.String())
	if n := rowsIn(t, reopen(t, copied)); n != 2 {
		t.Errorf("pulled %d rows", n)
	}
	turn("rel3", 3)
	source := filepath.Join(dir, "source")
	makeDatabase(t, source, 4)
	content, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	report, err := c.Push(t.Context(), name, bytes.NewReader(content), PushParams{Size: int64(len(content))})
	if err != nil || report.Target != filepath.Join(dir, "rel3", "db") {
		t.Errorf("%+v, %v", report, err)
	}
	for _, rel := range []string{"rel1", "rel2"} {
		if err := os.RemoveAll(filepath.Join(dir, rel)); err != nil {
			t.Fatal(err)
		}
	}
	if n := rowsIn(t, pool); n != 4 {
		t.Errorf("%d rows", n)
	}
}

// TestAStatusWarnsOfAFileThatIsKeptOut.
func TestAStatusWarnsOfAFileThatIsKeptOut(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	pool := openDatabase(t, dir+"/db", 3)
	c := newTestClient(t, startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil))
	if w := status(t, c).Warnings; len(w) > 0 && strings.Contains(w[0], "not used") {
		t.Errorf("%q", w)
	}
	writeFile(t, dir+"/bad", "no database")
	if err := os.Rename(dir+"/bad", dir+"/db"); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() error {
		if w := status(t, c).Warnings; !strings.Contains(strings.Join(w, "\n"), "not an SQLite database") && !strings.Contains(strings.Join(w, "\n"), "less than a database's header") {
			return fmt.Errorf("the warnings: %q", w)
		}
		return nil
	})
	if n := rowsIn(t, pool); n != 3 {
		t.Errorf("%d rows", n)
	}
}

// TestAFileThatIsKeptOutIsGotRidOfAsThePushSays: a push is refused as long as it is
// there, and says what to do; each of that works.
func TestAFileThatIsKeptOutIsGotRidOfAsThePushSays(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"a whole one is moved there", "it is moved away"} {
		t.Run(way, func(t *testing.T) {
			dir := shortDir(t)
			pool := openDatabase(t, dir+"/db", 3)
			c := newTestClient(t, startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil))
			move := func(from, to string) {
				t.Helper()
				if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
					t.Fatal(err)
				}
			}
			writeFile(t, dir+"/bad", "no database")
			move("bad", "db")
			for name, rows := range map[string]int{"source": 4, "whole": 5} {
				makeDatabase(t, filepath.Join(dir, name), rows)
			}
			content, err := os.ReadFile(filepath.Join(dir, "source"))
			if err != nil {
				t.Fatal(err)
			}
			push := func() error {
				_, err := c.Push(t.Context(), dir+"/db", bytes.NewReader(content), PushParams{})
				return err
			}
			p, ok := errors.AsType[*Problem](push())
			if !ok || p.Type != ProblemTarget || !strings.Contains(p.Hint, "the live database is unchanged: move a whole database there with mv") || !strings.Contains(p.Hint, "or move this file away, and push") {
				t.Fatalf("a push: %+v", p)
			}
			if n := rowsIn(t, pool); n != 3 {
				t.Errorf("%d rows", n)
			}
			if way == "it is moved away" {
				move("db", "bad")
			} else {
				move("whole", "db")
				testenv.Eventually(t, func() error {
					if n := rowsIn(t, pool); n != 5 {
						return fmt.Errorf("%d rows", n)
					}
					return nil
				})
			}
			if err := push(); err != nil {
				t.Fatal(err)
			}
			if n := rowsIn(t, pool); n != 4 {
				t.Errorf("%d rows", n)
			}
		})
	}
}
