//go:build linux

package chaos

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/fleetapp"
)

const nodeEnv = "HOTSWAP_CHAOS_NODE"

// member is a node, in one process after another.
type member struct {
	w     *world
	name  string
	path  string
	proxy *proxy
	disk  bool // it has one of its own
	think time.Duration

	mu      sync.Mutex // guards what follows
	process *fleetapp.Process
	busy    bool // something is being done to it
	last    fleetapp.Report
	seen    uint64 // the content that was read last
	reads   uint64
}

func (w *world) newMember(t *testing.T, name, dir string, c *cluster) *member {
	m := &member{w: w, name: name, path: filepath.Join(dir, name, "catalog.sqlite3"), proxy: startProxy(t, c.ports), think: 20 * time.Millisecond}
	if err := os.MkdirAll(filepath.Dir(m.path), 0o755); err != nil {
		t.Fatal(err)
	}
	m.mount(t)
	t.Cleanup(m.kill)
	return m
}

func (m *member) start() error {
	cfg := fleetapp.Config{Engine: addresses(m.proxy.ports), Node: m.name, Path: m.path, Readers: 2, Think: m.think,
		Interval: 200 * time.Millisecond, Log: m.w.verbose, Trust: []string{m.w.trusted()}}
	p, err := fleetapp.Start(cfg, func(argument string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), nodeEnv+"="+argument)
		if m.w.verbose {
			cmd.Stderr = os.Stderr
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		return cmd
	}, m.reported)
	if err == nil {
		m.mu.Lock()
		m.process = p
		m.mu.Unlock()
	}
	return err
}

func (m *member) running() *fleetapp.Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process
}

func (m *member) kill() {
	if p := m.running(); p != nil {
		p.Kill()
		m.mu.Lock()
		m.reads += m.last.Served
		m.process, m.last = nil, fleetapp.Report{}
		m.mu.Unlock()
	}
}

// wipe removes all that the node has.
func (m *member) wipe() error {
	m.mu.Lock()
	m.seen = 0
	m.mu.Unlock()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(m.path), "*"))
	hidden, _ := filepath.Glob(filepath.Join(filepath.Dir(m.path), ".*"))
	for _, f := range append(files, hidden...) {
		os.Remove(f)
	}
	return err
}

// reported judges what the node says.
func (m *member) reported(_ time.Time, r fleetapp.Report) {
	m.mu.Lock()
	before := m.seen
	failed := r.Status.Databases[fleetapp.Channel].Failed
	if failed != m.last.Status.Databases[fleetapp.Channel].Failed && strings.Contains(failed, "must stay free") {
		m.w.did("had no room")
	}
	m.last = r
	if r.Version != 0 {
		m.seen = r.Version
	}
	m.mu.Unlock()
	if r.Wrong != "" {
		m.w.wrong("%s: %s", m.name, r.Wrong)
	}
	if r.Version == 0 || r.Version == before {
		return
	}
	m.w.moved(m.name, before, r.Version)
}

func (m *member) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	db := m.last.Status.Databases[fleetapp.Channel]
	return fmt.Sprintf("%s reads %d, has %d, %s %s %s, connected %v", m.name, m.last.Version, db.Version, db.Phase, db.Error, db.Failed, m.last.Status.Connected)
}
