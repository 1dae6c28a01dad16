package testapp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync/atomic"

	"hotswap/driver"
)

// Worked is what a service's job queue has done in a process of its own.
type Worked struct {
	Calls  CallStats
	Errors []string
	Swaps  int64 // that it was told of
	Writes []Write
}

// Work is the job queue of a service in another process, whose Config has JobsElsewhere.
// It says "ready" on out, works until in ends, and writes its Worked.
func Work(ctx context.Context, cfg Config, in io.Reader, out io.Writer) (err error) {
	cfg.History = new(History)
	s := newService(ctx, cfg)
	if err := s.openStore(ctx); err != nil {
		return errors.Join(err, s.shutdown(ctx))
	}
	var swaps atomic.Int64
	defer s.db.OnSwap(func(driver.Swap) { swaps.Add(1) })()
	s.workers.Go(func() { s.runJobs(s.calls) })
	fmt.Fprintln(out, "ready")
	io.Copy(io.Discard, in)
	if err := s.shutdown(ctx); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(Worked{Calls: s.meter.Total(), Errors: s.meter.Errors(), Swaps: swaps.Load(), Writes: cfg.History.Writes()})
}

// Elsewhere is a process that does Work.
type Elsewhere struct {
	cmd *exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

// StartElsewhere starts a command that does Work with its standard streams, and waits until
// it is at it.
func StartElsewhere(cmd *exec.Cmd) (*Elsewhere, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	e := &Elsewhere{cmd, in, bufio.NewReader(out)}
	if line, err := e.out.ReadString('\n'); err != nil || line != "ready\n" {
		e.Kill()
		return nil, fmt.Errorf("the worker's process said %q", line)
	}
	return e, nil
}

// PID is the process's.
func (e *Elsewhere) PID() int { return e.cmd.Process.Pid }

// End has it stop, and returns what it has done, which is added to the history.
func (e *Elsewhere) End(h *History) (w Worked, err error) {
	e.in.Close()
	err = json.NewDecoder(e.out).Decode(&w)
	if err := errors.Join(err, e.cmd.Wait()); err != nil {
		return w, fmt.Errorf("the worker's process: %w", err)
	}
	e.cmd = nil
	for _, write := range w.Writes {
		h.AddWrite(write)
	}
	return w, nil
}

// Kill ends it if it has not ended.
func (e *Elsewhere) Kill() {
	if e == nil || e.cmd == nil {
		return
	}
	e.cmd.Process.Kill()
	e.cmd.Wait() // its error is that of the kill
	e.cmd = nil
}
