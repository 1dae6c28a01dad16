package fleetapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Process is the program in a process of its own.
type Process struct {
	cmd  *exec.Cmd
	in   io.Closer
	done chan struct{}

	mu   sync.Mutex // guards what follows
	last Report
	err  error // of its output
}

// Start starts a command that calls Run with the argument that arg makes of the
// configuration. each is told of every report.
func Start(cfg Config, command func(argument string) *exec.Cmd, each func(at time.Time, r Report)) (*Process, error) {
	argument, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	p := &Process{cmd: command(string(argument)), done: make(chan struct{})}
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(out, each)
	return p, nil
}

func (p *Process) follow(out io.Reader, each func(time.Time, Report)) {
	defer close(p.done)
	decoder := json.NewDecoder(out)
	for {
		var r Report
		if err := decoder.Decode(&r); err != nil {
			p.mu.Lock()
			p.err = err
			p.mu.Unlock()
			return
		}
		p.mu.Lock()
		p.last = r
		p.mu.Unlock()
		if each != nil {
			each(time.Now(), r)
		}
	}
}

// PID is the process's.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Last is its last report.
func (p *Process) Last() Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// End has it leave the fleet and end, and returns its last report.
func (p *Process) End() (Report, error) {
	p.in.Close()
	<-p.done
	if err := p.cmd.Wait(); err != nil {
		return p.Last(), fmt.Errorf("the program %s: %w", p.cmd, err)
	}
	if p.err != io.EOF {
		return p.Last(), p.err
	}
	return p.Last(), nil
}

// Signal sends it a signal.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Kill kills it, and returns when it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
	if err := p.cmd.Wait(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		return // it had ended
	}
}
