package scale

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"runtime/debug"
	"syscall"

	"hotswap/internal/engine/embedded"
)

// Traffic is what has gone through an engine.
type Traffic struct {
	URL                                   string
	InMsgs, OutMsgs, InBytes, OutBytes    int64
	Connections, Subscriptions, Consumers int
}

// Since is the traffic since before.
func (t Traffic) Since(before Traffic) Traffic {
	t.InMsgs, t.OutMsgs = t.InMsgs-before.InMsgs, t.OutMsgs-before.OutMsgs
	t.InBytes, t.OutBytes = t.InBytes-before.InBytes, t.OutBytes-before.OutBytes
	return t
}

// ServeEngine is the process of an engine, as `hotswap fleet serve` runs it, at a port, or at
// any that is free with -1. It writes its traffic whenever it reads a line.
func ServeEngine(dir string, port int, in io.Reader, out io.Writer) error {
	debug.SetMemoryLimit(512 << 20)
	server, err := embedded.Start(embedded.Config{Dir: dir, Port: port})
	if err != nil {
		return err
	}
	defer server.Stop()
	encoder, lines := json.NewEncoder(out), bufio.NewScanner(in)
	for {
		now, err := server.Varz(nil)
		if err != nil {
			return err
		}
		jetstream, err := server.Jsz(nil)
		if err != nil {
			return err
		}
		if err := encoder.Encode(Traffic{URL: server.ClientURL(), InMsgs: now.InMsgs, OutMsgs: now.OutMsgs, InBytes: now.InBytes, OutBytes: now.OutBytes,
			Connections: now.Connections, Subscriptions: int(now.Subscriptions), Consumers: jetstream.Consumers}); err != nil {
			return err
		}
		if !lines.Scan() {
			return lines.Err()
		}
	}
}

// Engine is an engine in a process of its own.
type Engine struct {
	URL string
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// StartEngine starts a command that calls ServeEngine.
func StartEngine(cmd *exec.Cmd) (*Engine, error) {
	e := &Engine{cmd: cmd}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if e.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	e.out = json.NewDecoder(out)
	var first Traffic
	if err := e.out.Decode(&first); err != nil {
		return nil, fmt.Errorf("the engine's process: %w", err)
	}
	e.URL = first.URL
	return e, nil
}

// Traffic returns what has gone through it.
func (e *Engine) Traffic() (t Traffic, err error) {
	if _, err := fmt.Fprintln(e.in); err != nil {
		return t, err
	}
	return t, e.out.Decode(&t)
}

// PID is the process's.
func (e *Engine) PID() int { return e.cmd.Process.Pid }

// Stop ends it.
func (e *Engine) Stop() error {
	e.in.Close()
	return e.cmd.Wait()
}
