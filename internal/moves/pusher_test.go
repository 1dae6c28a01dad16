package moves

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"hotswap/sockserver"
	"hotswap/swapper"
)

// pushes goes through the plan's pushes and pulls until it is told to stop.
func (w *world) pushes(stop <-chan struct{}) {
	for i := 0; len(w.plan.pushes) > 0; i++ {
		s := w.plan.pushes[i%len(w.plan.pushes)]
		select {
		case <-stop:
			return
		case <-time.After(s.gap):
		}
		if !w.alive() {
			return
		}
		w.pushMu.Lock()
		if s.kind == pullWhole {
			w.pull()
		} else {
			w.pushOne(s)
		}
		w.pushMu.Unlock()
	}
}

func (w *world) pushOne(s pushStep) {
	w.pushed++
	stamp := newStamp("p", w.pushed, s.rows)
	file := filepath.Join(w.dir, "new", "push.db")
	if err := makeVersion(file, stamp, "DELETE"); err != nil {
		w.t.Error(err)
		return
	}
	defer os.Remove(file)
	body, err := os.ReadFile(file)
	if err != nil {
		w.t.Error(err)
		return
	}
	p := push{Stamp: stamp, Start: time.Now().UnixNano()}
	params := sockserver.PushParams{Method: swapper.Method(s.method), Backup: true, Timeout: 3 * time.Second}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	var src io.Reader = bytes.NewReader(body)
	var report swapper.Report
	switch s.kind {
	case pushSlowly:
		src = &slowReader{body, s.after / 4}
	case pushCancel:
		src = &noticedReader{src, sync.OnceFunc(func() { time.AfterFunc(s.after, cancel) })}
	case pushBad:
		src = bytes.NewReader(bytes.Repeat([]byte("garbage "), 2000))
	}
	if s.kind == pushKill {
		err = w.killedClient(file, params, s.after)
	} else {
		report, err = w.client.Push(ctx, w.path, src, params)
	}
	p.Outcome, p.Text = pushDone, ""
	var problem *sockserver.Problem
	switch {
	case err == nil && s.kind == pushKill:
		p.Outcome = pushUnknown
	case err == nil, report.Swapped:
		p.Generation, p.InPlace = report.Generation, report.Method == swapper.MethodInPlace
	case errors.As(err, &problem):
		p.Outcome, p.Problem, p.Text = pushRefused, problem.Type, problem.Error()
		if s.kind == pushBad && p.Problem == sockserver.ProblemBad {
			p.Problem = sockserver.ProblemBusy // as it should be
		}
	default:
		p.Outcome, p.Text = pushUnknown, err.Error()
	}
	if err != nil && report.Swapped {
		w.t.Errorf("push of %s, which was swapped in: %v", stamp, err)
	}
	if p.Outcome == pushUnknown {
		w.settle()
	}
	p.End = time.Now().UnixNano()
	for _, name := range w.harvest() {
		if p.Outcome == pushDone {
			p.Backup = name
		}
	}
	w.addPush(p)
}

// settle waits until no push is going on any more. A dry run of nothing is let in
// then, whatever becomes of it.
func (w *world) settle() {
	for w.alive() {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		_, err := w.client.Push(ctx, w.path, bytes.NewReader(nil), sockserver.PushParams{DryRun: true})
		cancel()
		var p *sockserver.Problem
		if !errors.As(err, &p) || !strings.Contains(p.Detail, "another push") {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// harvest takes the backups that pushes have left beside the live file, and
// returns where they are now.
func (w *world) harvest() []string {
	names, _ := filepath.Glob(filepath.Join(w.dir, "rel-*", liveName+"~"))
	var kept []string
	for _, name := range names {
		as := w.keptName("backup")
		if err := os.Rename(name, as); err != nil {
			w.t.Error(err)
			continue
		}
		kept = append(kept, as)
	}
	return kept
}

// pull takes a snapshot, which must be of one version.
func (w *world) pull() {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	e := event{Who: "pull", Call: callPull, Start: time.Now().UnixNano()}
	var b bytes.Buffer
	_, err := w.client.Snapshot(ctx, w.path, &b, sockserver.SnapshotParams{})
	e.End = time.Now().UnixNano()
	var problem *sockserver.Problem
	switch {
	case err == nil:
		file := filepath.Join(w.dir, "new", "pulled.db")
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			w.t.Error(err)
			return
		}
		c := readContents(file)
		os.Remove(file)
		e.Low, e.High, e.Rows = c.stamp, c.stamp, rowsOf(c.stamp)
		if len(c.stamps) > 1 || c.damage != "" || c.digest != digestOf(c.stamp) {
			e.Bad = 1
		}
	case errors.As(err, &problem) && problem.Type.Temporary():
		return
	case !w.alive():
		return
	default:
		e.Fail, e.Text = failOther, err.Error()
	}
	w.addEvent(e)
}

// slowReader yields a quarter at a time.
type slowReader struct {
	rest []byte
	nap  time.Duration
}

func (s *slowReader) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.nap)
	n := copy(p, s.rest[:min(len(s.rest), 20000)])
	s.rest = s.rest[n:]
	return n, nil
}

// noticedReader tells when it is first read from: the push has been let in then.
type noticedReader struct {
	io.Reader
	read func()
}

func (n *noticedReader) Read(p []byte) (int, error) {
	n.read()
	return n.Reader.Read(p)
}

// clientRole is the variable that makes a child a client that pushes a file.
const clientRole = "HOTSWAP_TEST_MOVES_CLIENT"

type clientSettings struct {
	Socket, Path, File string
	Params             sockserver.PushParams
}

func runClient(text string) {
	var s clientSettings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		panic(err)
	}
	file, err := os.Open(s.File)
	if err != nil {
		panic(err)
	}
	client := sockserver.NewClient(sockserver.ClientConfig{SocketPath: s.Socket})
	src := &noticedReader{file, sync.OnceFunc(func() { fmt.Println("reading") })}
	client.Push(context.Background(), s.Path, src, s.Params)
}

// killedClient has a process push the file, and kills it after a while.
func (w *world) killedClient(file string, params sockserver.PushParams, after time.Duration) error {
	text, err := json.Marshal(clientSettings{w.client.SocketPath(), w.path, file, params})
	if err != nil {
		return err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), clientRole+"="+string(text))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	out.Read(make([]byte, 1)) // or it has been refused
	time.Sleep(after / 3)
	cmd.Process.Kill()
	cmd.Wait()
	return nil
}
