package moves

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/testenv"
	"hotswap/sockserver"
)

// world is one program under test and what is done to its file.
type world struct {
	t    *testing.T
	plan worldPlan
	*recorder
	dir     string // of everything
	noDoor  bool
	callers string // a regular expression
	path    string // as the program opens the file
	child   *testenv.Child
	hung    atomic.Bool
	stderr  bytes.Buffer
	events  sync.WaitGroup
	client  *sockserver.Client
	pushed  int        // how many versions were made for pushes
	pushMu  sync.Mutex // held during a push
	made    int        // how many releases there are
	moved   int        // how many versions were made for moves
	kept    int        // how many files have left the path
	keptMu  sync.Mutex // guards kept, which the pusher counts up, too

	brokenFiles []brokenFile
}

// brokenFile is a file that was put at the path and is not whole.
type brokenFile struct {
	text  string
	bytes []byte
	ino   uint64
}

// liveName is the live file's name in a directory.
const liveName = "live.db"

func newWorld(t *testing.T, plan worldPlan) *world {
	w := &world{t: t, plan: plan, recorder: newRecorder(plan.journal == "DELETE"), callers: onlyCallers.String()}
	dir, err := os.MkdirTemp("", "moves") // t.TempDir makes a path too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w.dir = dir
	for _, sub := range []string{"kept", "new", "prog"} {
		w.must(os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	switch plan.layout {
	case layoutPlain:
		w.must(os.Mkdir(filepath.Join(dir, "rel-000"), 0o700))
		w.path = filepath.Join(dir, "rel-000", liveName)
		w.must(makeVersion(w.path, newStamp("a", 0, 60), plan.journal))
	case layoutCurrent:
		w.turn(w.release(newStamp("a", 0, 60), plan.journal))
		w.path = filepath.Join(dir, "current", liveName)
	case layoutData:
		w.turn(w.release(newStamp("a", 0, 60), plan.journal))
		w.path = filepath.Join(dir, liveName)
		w.must(os.Symlink("current/"+liveName, w.path))
	}
	return w
}

func (w *world) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

// release makes a directory with a version in it, and returns its name.
func (w *world) release(stamp, journal string) string {
	name := fmt.Sprintf("rel-%03d", w.made)
	w.made++
	w.must(os.Mkdir(filepath.Join(w.dir, name), 0o700))
	w.must(makeVersion(filepath.Join(w.dir, name, liveName), stamp, journal))
	return name
}

// turn has the symlink lead to the release.
func (w *world) turn(release string) {
	link := filepath.Join(w.dir, "current")
	w.must(os.Symlink(release, link+".new"))
	w.must(os.Rename(link+".new", link))
}

// start starts the program.
func (w *world) start() {
	s := settings{Path: w.path, Dir: filepath.Join(w.dir, "prog"), Journal: w.plan.journal,
		Creates: w.plan.creates, One: w.plan.one, Slow: w.plan.slow, Callers: w.callers, NoDoor: w.noDoor}
	text, err := json.Marshal(s)
	w.must(err)
	read, write, err := os.Pipe()
	w.must(err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), programRole+"="+string(text))
	cmd.Stderr = &w.stderr
	cmd.ExtraFiles = []*os.File{write}
	w.child = testenv.Start(w.t, cmd)
	write.Close()
	w.events.Go(func() {
		defer read.Close()
		for dec := json.NewDecoder(read); ; {
			var e event
			if dec.Decode(&e) != nil { // its end, or what a crash has cut
				return
			}
			w.addEvent(e)
		}
	})
	if line := w.child.Line(); line != "ready" {
		w.t.Fatalf("the program said %q", line)
	}
	w.client = sockserver.NewClient(sockserver.ClientConfig{SocketPath: s.socket()})
}

// hungAfter is how long a world may take, whose moves take some seconds.
const hungAfter = 100 * time.Second

// run goes through the plan and returns what the program showed.
func (w *world) run() history {
	w.start()
	defer time.AfterFunc(hungAfter, func() {
		w.hung.Store(true)
		w.child.Process.Signal(syscall.SIGQUIT) // it prints its stacks
	}).Stop()
	stop := make(chan struct{})
	var clients sync.WaitGroup
	clients.Go(func() { w.pushes(stop) })
	for i, s := range w.plan.steps {
		if !w.alive() {
			break
		}
		if last := i == len(w.plan.steps)-1; last {
			close(stop)
			clients.Wait()
			stop = nil
		}
		w.step(s)
	}
	if stop != nil {
		close(stop)
		clients.Wait()
	}
	w.end()
	return w.h
}

// alive reports whether the program still runs.
func (w *world) alive() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.child.Process.Pid))
	_, after, found := bytes.Cut(stat, []byte(") "))
	return err == nil && found && len(after) > 0 && after[0] != 'Z'
}

// end ends the program and reads what it leaves.
func (w *world) end() {
	defer w.client.Close()
	slow := time.AfterFunc(2*callTimeout, func() { w.child.Process.Kill() })
	defer slow.Stop()
	if err := w.child.End(); err != nil {
		if *dump {
			w.t.Logf("%s", w.stderr.Bytes())
		}
		w.h.Crash = fmt.Sprintf("%v: %s", err, lastLines(w.stderr.Bytes()))
		if w.hung.Load() {
			w.h.Crash = fmt.Sprintf("it hung, and was ended after %v (-dump shows where)", hungAfter)
		}
	}
	w.events.Wait()
	w.harvest()
	var files []string
	for _, pattern := range []string{"kept/*", "rel-*/" + liveName} {
		names, err := filepath.Glob(filepath.Join(w.dir, pattern))
		w.must(err)
		files = append(files, names...)
	}
	for _, name := range files {
		if sidecar(name) {
			continue
		}
		if b := w.brokenAt(name); b != nil {
			touched := ""
			if err := unchangedFile(name, b.bytes); err != nil {
				touched = err.Error()
			}
			w.h.Broken = append(w.h.Broken, broken{b.text, touched})
			continue
		}
		c := readContents(name)
		w.h.Files = append(w.h.Files, c)
		for i, p := range w.h.Pushes {
			if p.Backup == name {
				w.h.Pushes[i].Backup = c.stamp
			}
		}
	}
}

// lastLines are the last of what the program has said, or what it said when it
// died.
func lastLines(b []byte) []byte {
	for _, sign := range []string{"fatal error:", "panic:", "SIGBUS", "SIGSEGV"} {
		if i := bytes.Index(b, []byte(sign)); i >= 0 {
			return b[i:min(len(b), i+2000)]
		}
	}
	return b[max(0, len(b)-1000):]
}
