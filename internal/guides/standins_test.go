package guides

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The stand-ins are these commands, first on the PATH of a guide's commands.
// Each runs the inner command on this machine, in the directory of the world
// that has the name of the host, the container or the pod; so the quoting, the
// pipes and the exit codes of a line are put to the test, and nothing of the
// real tool is.
//
//	ssh         a login shell, with nothing of the caller's environment
//	docker      exec [-i] NAME COMMAND..., without a shell; run, which starts the
//	            tests' program with the volume, in a PID namespace of its own if
//	            this user may make one, and does nothing for the other flags
//	kubectl     exec [-i] POD [-c CONTAINER] -- COMMAND..., without a shell
//	fly         ssh console -C COMMAND, split into words and without a shell
//	sudo        runs the command as it is
//	systemctl   start UNIT...: the ExecStart of each, in the background if the unit has
//	            a socket (HOTSWAP_SOCKET), until stop UNIT...
//	journalctl  what the program has logged
//	litestream  replicate, which reads the database and does not stop; restore,
//	            from a file
//
// An absolute path in a container's command is below its directory.
const envWorld = "HOTSWAP_GUIDES_WORLD"

// machineDir is the directory of a machine, "" if there is none.
func machineDir(name string) string {
	dir := filepath.Join(os.Getenv(envWorld), name)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

func fail(code int, format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(code)
}

// become runs a command with our input and output, and exits as it does.
func become(dir string, env []string, args ...string) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(env, "PATH="+os.Getenv("PATH"), "HOME="+dir, envWorld+"="+os.Getenv(envWorld), "GORACE=atexit_sleep_ms=0")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		fail(127, "%v", err)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// sshMain is "ssh HOST WORDS...".
func sshMain() {
	for len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "-") { // those of hotswap's own, and one with a value
		if os.Args[1] == "-o" {
			os.Args = slices.Delete(os.Args, 1, 2)
		}
		os.Args = slices.Delete(os.Args, 1, 2)
	}
	if len(os.Args) < 3 || strings.HasPrefix(os.Args[1], "-") {
		fail(255, "usage: ssh HOST COMMAND")
	}
	dir := machineDir(os.Args[1])
	if dir == "" {
		fail(255, "ssh: Could not resolve hostname %s", os.Args[1])
	}
	become(dir, nil, "sh", "-c", strings.Join(os.Args[2:], " "))
}

// becomeContained runs a command in a container: without a shell, with the
// container's environment. Without -i it has no input.
func becomeContained(name string, stdin bool, command []string) {
	dir := machineDir(name)
	if dir == "" {
		fail(1, "no such container: %s", name)
	}
	inside := func(path string) string { return filepath.Join(dir, path) }
	for i, arg := range command {
		option, path, ok := strings.Cut(arg, "=")
		switch {
		case strings.HasPrefix(arg, "/"):
			command[i] = inside(arg)
		case ok && strings.HasPrefix(option, "--") && strings.HasPrefix(path, "/"):
			command[i] = option + "=" + inside(path)
		}
	}
	if !stdin {
		os.Stdin, _ = os.Open(os.DevNull)
	}
	become(dir, []string{"HOTSWAP_SOCKET=" + inside("run/hotswap.sock")}, command...)
}

// takeFlag removes a flag from the arguments and says whether it was there.
func takeFlag(args *[]string, names ...string) bool {
	i := slices.IndexFunc(*args, func(arg string) bool { return slices.Contains(names, arg) })
	if i >= 0 {
		*args = slices.Delete(*args, i, i+1)
	}
	return i >= 0
}

// dockerMain is "docker exec [-i] NAME COMMAND...", or "docker run --detach
// --name NAME --read-only --tmpfs /run --volume VOLUME:/data IMAGE".
func dockerMain() {
	args := os.Args[1:]
	if len(args) == 10 && args[0] == "run" && args[2] == "--name" && args[5] == "--tmpfs" && args[6] == "/run" && args[7] == "--volume" {
		volume, at, _ := strings.Cut(args[8], ":")
		runContainer(args[3], volume, at)
		return
	}
	if len(args) < 3 || args[0] != "exec" {
		fail(125, "usage: docker exec [-i] NAME COMMAND...")
	}
	args = args[1:]
	stdin := args[0] == "-i"
	if stdin {
		args = args[1:]
	}
	becomeContained(args[0], stdin, args[1:])
}

// runContainer makes a container of a world's volume, and starts the program in
// it. Its pid is left in the container's directory for the test to end it.
func runContainer(name, volume, at string) {
	dir := filepath.Join(os.Getenv(envWorld), name)
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "run"), 0o755), os.Symlink(machineDir(volume), filepath.Join(dir, at))); err != nil {
		fail(125, "%v", err)
	}
	words := []string{"program", filepath.Join(dir, at, "production.sqlite3")}
	if exec.Command("unshare", "--pid", "--net", "--fork", "--mount-proc", "true").Run() == nil {
		words = append([]string{"unshare", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"}, words...)
	}
	cmd := exec.Command(words[0], words[1:]...)
	socket := filepath.Join(dir, "run/hotswap.sock")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "HOTSWAP_SOCKET="+socket)
	if err := cmd.Start(); err != nil {
		fail(125, "%v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "pid"), fmt.Append(nil, cmd.Process.Pid), 0o644); err != nil {
		fail(125, "%v", err)
	}
	awaitSocket(name, socket)
}

func awaitSocket(name, socket string) {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			fail(125, "the program of %s does not start", name)
		}
	}
}

// kubectlMain is "kubectl exec [-i] POD [-c CONTAINER] -- COMMAND...".
func kubectlMain() {
	before := slices.Clone(os.Args[1:])
	i := slices.Index(before, "--")
	if i < 0 || before[0] != "exec" {
		fail(1, "usage: kubectl exec [-i] POD [-c CONTAINER] -- COMMAND...")
	}
	command, before := before[i+1:], before[1:i]
	stdin := takeFlag(&before, "-i", "--stdin")
	name := strings.TrimPrefix(before[0], "deploy/")
	if len(before) == 3 && before[1] == "-c" {
		name = before[2]
	}
	becomeContained(name, stdin, command)
}

// flyMain is "fly ssh console -C COMMAND".
func flyMain() {
	args := os.Args[1:]
	quiet := takeFlag(&args, "-q")
	if len(args) != 4 || args[0] != "ssh" || args[1] != "console" || args[2] != "-C" || !quiet {
		fail(1, "usage: fly ssh console -q -C COMMAND")
	}
	becomeContained("fly", true, strings.Fields(args[3]))
}

// sudoMain is "sudo -u USER COMMAND...".
func sudoMain() {
	if len(os.Args) < 4 || os.Args[1] != "-u" {
		fail(1, "usage: sudo -u USER COMMAND...")
	}
	become(".", nil, os.Args[3:]...)
}

// below puts the absolute paths of the guide on systemd below dir.
func below(dir, text string) string {
	return strings.NewReplacer("/srv/", dir+"/srv/", "/run/app", dir+"/run/app", "/var/backups/", dir+"/var/backups/",
		"/usr/local/bin/", "").Replace(text)
}

// journalctlMain is "journalctl -u app -o cat".
func journalctlMain() { become(machineDir("host"), nil, "cat", "app.log") }

// litestreamMain is "litestream replicate DB" or "litestream restore -o FILE DB".
func litestreamMain() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "replicate":
		readOn(os.Args[2])
	case len(os.Args) == 5 && os.Args[1] == "restore" && os.Args[2] == "-o":
		become(".", nil, "cp", filepath.Join(machineDir("replica"), filepath.Base(os.Args[4])), os.Args[3])
	default:
		fail(1, "usage: litestream restore -o FILE DB")
	}
}
