package together

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"

	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(programRole); text != "" {
		if err := runProgram(text); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	testenv.Parallel(10)
	os.Exit(m.Run())
}

// items is how many rows a version has.
const items = 50

// world is a database that several programs have open.
type world struct {
	t       *testing.T
	dir     string
	path    string
	journal string
	live    string   // the version
	made    int      // versions
	kept    []string // versions that were replaced, each at version(stamp)
	all     []*child
	started int
	longest time.Duration // of the calls, once they were checked
}

type child struct {
	*testenv.Child
	w *world
	settings
	fresh bool // started since the latest swap
	told  int  // of how many swaps its OnSwap must have been
}

func newWorld(t *testing.T, journal string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), journal: journal}
	w.path = filepath.Join(w.dir, "live.db")
	w.live = w.make()
	if err := os.Rename(w.version(w.live), w.path); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) version(stamp string) string { return filepath.Join(w.dir, "version-"+stamp) }

// make makes the next version, and returns its stamp.
func (w *world) make() string {
	w.t.Helper()
	w.made++
	stamp := fmt.Sprintf("v%05d", w.made)
	db, err := sql.Open("sqlite3", w.version(stamp))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.Exec(fmt.Sprintf(`PRAGMA synchronous=OFF; PRAGMA journal_mode=%s; BEGIN;
		CREATE TABLE meta(g TEXT); INSERT INTO meta VALUES('%[2]s');
		CREATE TABLE acked(id TEXT);
		CREATE TABLE items(stamp TEXT, pad BLOB);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d) INSERT INTO items SELECT '%[2]s', zeroblob(1000) FROM n; COMMIT`, w.journal, stamp, items))
	if err != nil {
		w.t.Fatal(err)
	}
	return stamp
}

// start starts a program.
func (w *world) start(s settings, env ...string) *child {
	w.t.Helper()
	return w.startAs(s, exec.Command(os.Args[0]), env...)
}

// startIn starts a program by another command.
func (w *world) startIn(s settings, command ...string) *child {
	w.t.Helper()
	return w.startAs(s, exec.Command(command[0], command[1:]...))
}

func (w *world) startAs(s settings, cmd *exec.Cmd, env ...string) *child {
	w.t.Helper()
	w.started++
	if s.Path == "" {
		s.Path = w.path
	}
	s.Journal, s.History, s.Pause = w.journal, filepath.Join(w.dir, fmt.Sprintf("history-%d", w.started)), *callEvery
	text, err := json.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	cmd.Env = append(append(os.Environ(), programRole+"="+string(text)), env...)
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	c := &child{Child: testenv.Start(w.t, cmd), w: w, settings: s}
	if got := c.Line(); got != "ready" {
		w.t.Fatal(got)
	}
	return c
}

// add starts a program that stays.
func (w *world) add(s settings, env ...string) *child {
	w.t.Helper()
	c := w.start(s, env...)
	w.all = append(w.all, c)
	return c
}

// tell has a program do something, and returns its answer.
func (c *child) tell(line string) string {
	c.w.t.Helper()
	c.send(line)
	return c.Line()
}

func (c *child) send(line string) {
	c.w.t.Helper()
	if _, err := io.WriteString(c.In, line+"\n"); err != nil {
		c.w.t.Fatal(err)
	}
}

// push pushes the next version through a program.
func (c *child) push(o order) (outcome, string) {
	c.w.t.Helper()
	stamp := c.begin(o)
	return c.ends(stamp), stamp
}

func (c *child) begin(o order) (stamp string) {
	c.w.t.Helper()
	stamp = c.w.make()
	o.Source = c.w.version(stamp)
	text, err := json.Marshal(o)
	if err != nil {
		c.w.t.Fatal(err)
	}
	c.send("push " + string(text))
	return stamp
}

// ends waits for the end of a push.
func (c *child) ends(stamp string) (out outcome) {
	c.w.t.Helper()
	if err := json.Unmarshal([]byte(c.Line()), &out); err != nil {
		c.w.t.Fatal(err)
	}
	os.Remove(c.w.version(stamp))
	if out.Report.Swapped {
		c.w.keep()
		c.w.live = stamp
		c.told++
		for _, other := range c.w.all {
			for _, p := range out.Report.Peers {
				if p.PID == other.Process.Pid && p.Problem == "" {
					other.told++
				}
			}
		}
	}
	return out
}

// keep keeps the version that was replaced.
func (w *world) keep() {
	w.t.Helper()
	if err := os.Rename(w.path+"~", w.version(w.live)); err != nil {
		w.t.Fatal(err)
	}
	w.kept = append(w.kept, w.live)
}

// mustPush pushes, and looks at what every program then has.
func (c *child) mustPush(o order) outcome {
	c.w.t.Helper()
	out, stamp := c.push(o)
	if out.Err != "" {
		c.w.t.Fatalf("the push of %s: %s", stamp, out.Err)
	}
	c.w.agree()
	return out
}

// agree demands that every program sees the live version, and was told of each swap.
func (w *world) agree() {
	w.t.Helper()
	for _, c := range w.all {
		if got, want := c.tell("look"), fmt.Sprint(w.live, " ", c.told+1, " ", c.told); got != want {
			w.t.Errorf("process %d sees %s; want %s", c.Process.Pid, got, want)
		}
	}
}

// end ends all programs, and leaves nothing beside the database.
func (w *world) end() {
	w.t.Helper()
	for _, c := range w.all {
		if err := c.End(); err != nil {
			w.t.Errorf("process %d: %v", c.Process.Pid, err)
		}
	}
}
