package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	osexec "os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// restarted is a program in a process of its own, a child, that is stopped for
// a swap and started again. Its callers are HTTP clients.
type restarted struct {
	path, addr string
	socket     *os.File // kept open over restarts, if not nil
	process    *osexec.Cmd
	stdin      io.Closer // the child's life line
	client     *http.Client
	workers    atomic.Int64
}

// startRestarted starts one that listens by itself: who calls while it is away
// is refused.
func startRestarted(path string) (peer, error) { return newRestarted(path, nil) }

// startActivated starts one that is given its listening socket, as by systemd:
// who calls while it is away waits.
func startActivated(path string) (peer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close() // the file is one of its own
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		return nil, err
	}
	return newRestarted(path, socket)
}

func newRestarted(path string, socket *os.File) (peer, error) {
	r := &restarted{path: path, addr: "127.0.0.1:0", socket: socket}
	r.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	if err := r.start(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *restarted) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p := osexec.Command(self)
	p.Env = append(os.Environ(), serverEnv+"="+r.path, addrEnv+"="+r.addr)
	if r.socket != nil {
		p.Env = append(p.Env, addrEnv+"=")
		p.ExtraFiles = []*os.File{r.socket}
	}
	p.Stderr = os.Stderr
	stdin, err := p.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := p.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.Start(); err != nil {
		return err
	}
	r.process, r.stdin = p, stdin
	late := time.AfterFunc(10*time.Second, func() { p.Process.Kill() })
	defer late.Stop()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return errors.Join(fmt.Errorf("the server did not start: %w", err), r.stop())
	}
	r.addr = strings.TrimSpace(line)
	return nil
}

// stop asks the child to end, and waits until it has.
func (r *restarted) stop() error {
	if r.process == nil {
		return nil
	}
	p := r.process
	r.process = nil
	late := time.AfterFunc(10*time.Second, func() { p.Process.Kill() })
	defer late.Stop()
	err := p.Process.Signal(syscall.SIGTERM)
	err = errors.Join(err, p.Wait())
	r.stdin.Close()
	return err
}

func (r *restarted) swap(image string) error {
	stage := r.path + ".new"
	if err := copyFile(image, stage); err != nil {
		return err
	}
	if err := r.stop(); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(r.path + suffix); err == nil {
			return fmt.Errorf("the server left %s%s", r.path, suffix)
		}
	}
	if err := os.Rename(stage, r.path); err != nil {
		return err
	}
	return r.start()
}

func (r *restarted) close() error {
	err := r.stop()
	r.client.CloseIdleConnections()
	if r.socket != nil {
		err = errors.Join(err, r.socket.Close())
	}
	return err
}

func (r *restarted) caller(k kind) (func(int) (seen, error), func()) {
	id := r.workers.Add(1)
	addr := r.addr
	return func(i int) (saw seen, err error) {
		resp, err := r.client.Get(fmt.Sprintf("http://%s/?kind=%d&worker=%d&i=%d", addr, k, id, i))
		if err != nil {
			return saw, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, body)
		}
		if err != nil {
			return saw, err
		}
		return saw, json.Unmarshal(body, &saw)
	}, func() {}
}
