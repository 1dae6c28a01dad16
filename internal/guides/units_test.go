package guides

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestCommandsOfTheGuideOnSeveralProcessesDoWhatItSays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	host := w.machine(t, "host", "srv/app/db", "srv/app/next", "run")
	makeDatabase(t, filepath.Join(host, "srv/app/db/production.sqlite3"), "old")
	makeDatabase(t, filepath.Join(host, "new.sqlite3"), "new")
	makeDatabase(t, filepath.Join(w.machine(t, "data"), "production.sqlite3"), "old")
	// The program and the units come below the guide's first command.
	early := walk{world: w, at: host, root: host}
	for _, b := range readGuide(t, filepath.Join(repository(t), "docs/processes.md")) {
		switch name := b.fileName(); {
		case name == "main.go":
			early.write(t, b, name)
			for _, at := range []string{"srv/app/app", "srv/app/next/app"} {
				if err := os.Link(filepath.Join(host, "main"), filepath.Join(host, at)); err != nil {
					t.Fatal(err)
				}
			}
		case strings.HasSuffix(name, ".service"):
			early.write(t, b, name)
		}
	}
	w.stopUnits(t, host)
	walk{world: w, at: host, root: host, before: map[string]func(*testing.T){
		"kubectl": func(t *testing.T) {
			w.startContained(t, "web", "data")
			w.startContained(t, "worker", "data")
		},
	}}.through(t, "processes.md")
	logs, err := filepath.Glob(filepath.Join(host, "*.service.log"))
	if err != nil || len(logs) != 3 {
		t.Fatalf("%v, %v", logs, err)
	}
	for _, name := range logs {
		if said, err := os.ReadFile(name); err != nil || strings.Contains(string(said), "failed") || !strings.Contains(string(said), "generation 2\n") {
			t.Errorf("%s: %s (%v)", filepath.Base(name), said, err)
		}
	}
	if _, err := exec.LookPath("systemd-analyze"); err == nil {
		verifyUnits(t, host, 3)
	}
}

// systemctlMain is "systemctl start UNIT..." or "systemctl stop UNIT...".
func systemctlMain() {
	if len(os.Args) < 3 || os.Args[1] != "start" && os.Args[1] != "stop" {
		fail(1, "usage: systemctl start|stop UNIT...")
	}
	dir := machineDir("host")
	for _, name := range os.Args[2:] {
		if os.Args[1] == "stop" {
			if err := stopUnit(dir, name); err != nil {
				fail(1, "%s: %v", name, err)
			}
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			fail(5, "Unit %s not found.", name)
		}
		unit := map[string]string{}
		for line := range strings.Lines(string(text)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				unit[key] = value
			}
		}
		// What systemd makes of a line before it splits it, which the shell does here
		// (systemd.service(5)).
		command := strings.NewReplacer("%%", "%", "$$", "$").Replace(below(dir, unit["ExecStart"]))
		socket, ok := strings.CutPrefix(unit["Environment"], "HOTSWAP_SOCKET=")
		if !ok {
			become(dir, nil, "sh", "-c", command)
		}
		startUnit(dir, name, below(dir, unit["WorkingDirectory"]), below(dir, socket), "exec "+command)
	}
}

// startUnit starts a unit's command, and waits for its socket. Its log and its pid are
// beside the unit.
func startUnit(dir, name, at, socket, command string) {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err == nil {
		err = os.MkdirAll(filepath.Dir(socket), 0o755) // the RuntimeDirectory
	}
	if err != nil {
		fail(1, "%v", err)
	}
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = at, append(os.Environ(), "HOTSWAP_SOCKET="+socket), log, log
	if err := cmd.Start(); err != nil {
		fail(1, "%v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".pid"), fmt.Append(nil, cmd.Process.Pid), 0o644); err != nil {
		fail(1, "%v", err)
	}
	awaitSocket(name, socket)
}

// stopUnit ends it, and waits until it has.
func stopUnit(dir, name string) error {
	text, err := os.ReadFile(filepath.Join(dir, name+".pid"))
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(string(text))
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err != nil || len(fds) == 0 {
			return os.Remove(filepath.Join(dir, name+".pid"))
		}
	}
	return errors.New("it does not end")
}
