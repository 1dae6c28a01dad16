package swapper

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/testenv"
)

// latecomer starts the role of another process (see other_test.go), and has it
// run these statements, each of which answers a line.
func latecomer(t *testing.T, path string, queries ...string) (answers func() string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HOTSWAP_TEST_OTHER=file:"+path+"?_busy_timeout=0")
	cmd.Stdin = strings.NewReader(strings.Join(queries, "\n"))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return func() string {
		cmd.Wait()
		return strings.TrimSpace(out.String())
	}
}

// breaking reports whether somebody waits in open(2) for a leased file.
func breaking(path string) bool {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return false
	}
	locks, _ := os.ReadFile("/proc/locks")
	for line := range strings.Lines(string(locks)) {
		if strings.Contains(line, "LEASE") && strings.Contains(line, "BREAK") && strings.Contains(line, fmt.Sprintf(":%d ", st.Ino)) {
			return true
		}
	}
	return false
}

func makeLive(t *testing.T, path, stamp, journal string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal="+journal)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (stamp TEXT); INSERT INTO t VALUES (?)", stamp); err != nil {
		t.Fatal(err)
	}
}

// TestALatecomerIsKeptOffTheReplacedFile is the moment of the swap, seen by one
// who opens the database just then: it gets the old file, must not be able to
// write into it, and the file must stay locked until it has gone.
func TestALatecomerIsKeptOffTheReplacedFile(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			dir := t.TempDir()
			live, next, old := filepath.Join(dir, "live"), filepath.Join(dir, "next"), filepath.Join(dir, "live~")
			makeLive(t, live, "old", journal)
			makeLive(t, next, "new", journal)
			if leaseDoubt(dir) != "" {
				testenv.Skip(t, "no leases here: %s", leaseDoubt(dir))
			}
			signals := make(chan os.Signal, 10)
			signal.Notify(signals, syscall.SIGIO)
			defer signal.Stop(signals)
			g, err := newGuard(live, true)
			if err != nil {
				t.Fatal(err)
			}
			defer g.close()
			late := latecomer(t, live, "INSERT INTO t VALUES ('late')", "SELECT stamp FROM t")
			testenv.Until(t, "the latecomer comes", func() bool { return breaking(live) })
			if err := os.Link(live, old); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(next, live); err != nil {
				t.Fatal(err)
			}
			g.since = time.Now()
			g.endLease()
			// It fails to open the old one, and opens the new one with its next use.
			if answer := late(); answer != "error: database is locked\nnew" {
				t.Errorf("the latecomer was told %q", answer)
			}
			// One who has it open all the time, and asks for nothing.
			idle, err := os.Open(old)
			if err != nil {
				t.Fatal(err)
			}
			met := false
			g.lift(true, func() { met = true })
			if !met {
				t.Error("nobody was seen to have the replaced file open")
			}
			if answer := latecomer(t, old, "SELECT stamp FROM t")(); !strings.Contains(answer, "locked") {
				t.Errorf("the fence fell while somebody had the file open: %q", answer)
			}
			idle.Close()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), "HOTSWAP_TEST_OTHER=file:"+old+"?_busy_timeout=0")
			patient := testenv.Start(t, cmd)
			testenv.Until(t, "the fence falls", func() bool {
				fmt.Fprintln(patient.In, "SELECT stamp FROM t")
				return strings.HasPrefix(patient.Line(), "old")
			})
			if answer := latecomer(t, live, "SELECT stamp FROM t", "INSERT INTO t VALUES ('next')")(); answer != "new" {
				t.Errorf("the new database answers %q", answer)
			}
			select {
			case s := <-signals:
				t.Errorf("the program was sent %v", s)
			default:
			}
		})
	}
}

func TestNoGuardOfAFileThatSomebodyHasOpen(t *testing.T) {
	t.Parallel()
	live := filepath.Join(t.TempDir(), "live")
	makeLive(t, live, "old", "WAL")
	if doubt := leaseDoubt(filepath.Dir(live)); doubt != "" {
		testenv.Skip(t, "no leases here: %s", doubt)
	}
	for _, mode := range []int{os.O_RDONLY, os.O_RDWR} {
		f, err := os.OpenFile(live, mode, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newGuard(live, true); !errors.Is(err, errLeaseRefused) {
			t.Errorf("opened with mode %d: %v", mode, err)
		}
		f.Close()
		g, err := newGuard(live, true)
		if err != nil {
			t.Fatal(err)
		}
		g.close()
	}
}
