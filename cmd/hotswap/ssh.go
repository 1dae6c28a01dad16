package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"hotswap/internal/fdpass"
	"hotswap/internal/printable"
	"hotswap/internal/tunnel"
)

// The variables that say how another machine is reached.
const (
	// envSSH is a command and its arguments, split by the shell, as GIT_SSH_COMMAND is.
	envSSH = "HOTSWAP_SSH"
	// envRemote is what to run there.
	envRemote = "HOTSWAP_REMOTE_COMMAND"
)

// sshOptions keep a user's configuration from doing more than to connect, as scp's do: a
// terminal would change the bytes, and a forward that is taken would end ssh.
const sshOptions = "ssh -x -oClearAllForwardings=yes -oRemoteCommand=none -oRequestTTY=no"

// ungreeted is how long a command that has closed its output may take to exit.
const ungreeted = 2 * time.Second

// link is a running ssh. What goes through it is read and written like a connection.
type link struct {
	io.Reader
	io.Writer
	to     address
	socket string // there, if one was named
	cmd    *exec.Cmd
	pipes  [2]*os.File
	exited chan struct{} // closed once the process has ended
}

// startSSH runs the command. Standard error and the terminal are the user's: ssh asks
// there for a password, and says what is wrong.
func startSSH(to address) (*link, error) {
	name, args := sshCommand(to)
	if _, err := exec.LookPath("ssh"); err != nil && os.Getenv(envSSH) == "" {
		return nil, failf(exitNoServer, "%s: ssh is not installed here", to.arg).withHint("install OpenSSH's client, or name another command with $%s", envSSH)
	}
	cmd := exec.Command(name, args...)
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirIn.Close()
	out, theirOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer theirOut.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, os.Stderr
	fdpass.Widen(in)
	fdpass.Widen(out)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(failf(exitNoServer, "%s: start %s: %w", to.arg, name, err), in.Close(), out.Close())
	}
	l := &link{Reader: out, Writer: in, to: to, cmd: cmd, pipes: [2]*os.File{in, out}, exited: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(l.exited)
	}()
	return l, nil
}

// sshCommand is what to run. The shell that starts it has it ignore the signals that end
// this command, and reach the whole group: this one has to tell the program first. What
// it runs there is the same for every path, which needs no quoting then.
func sshCommand(to address) (name string, args []string) {
	var words []string
	if to.port != "" {
		words = append(words, "-p", to.port)
	}
	remote := os.Getenv(envRemote)
	if remote == "" {
		remote = "hotswap"
	}
	words = append(words, to.host, remote, "dial-stdio")
	ssh := os.Getenv(envSSH)
	if ssh == "" {
		ssh = sshOptions
	}
	if runtime.GOOS == "windows" {
		fields := strings.Fields(ssh)
		return fields[0], append(fields[1:], words...)
	}
	script := `trap "" INT TERM HUP; exec ` + ssh + ` "$@"`
	return "/bin/sh", append([]string{"-c", script, "hotswap"}, words...)
}

// Close ends the command: by itself, once it has nothing to read, or else by force. ssh
// gives the terminal its echo back when it is asked to end.
func (l *link) Close() error {
	for _, pipe := range l.pipes {
		pipe.Close()
	}
	if !l.waits(time.Second / 10) {
		l.cmd.Process.Signal(syscall.SIGTERM)
	}
	if !l.waits(time.Second / 2) {
		l.cmd.Process.Kill()
	}
	<-l.exited
	return nil
}

func (l *link) waits(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-l.exited:
		return true
	case <-timer.C:
		return false
	}
}

// open waits for the other end.
func (l *link) open(ctx context.Context) (*tunnel.Tunnel, error) {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	t, err := tunnel.Open(l)
	if err == nil {
		return t, nil
	}
	defer l.Close()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, l.whyNot(err)
}

// whyNot says why there is no hotswap at the other end.
func (l *link) whyNot(err error) error {
	host := l.to.host
	if noise, is := errors.AsType[*tunnel.NoiseError](err); is {
		return failf(exitNoServer, "%s: %q was printed there before hotswap began", host, noise.Text).
			withHint("what the shell there reads at its start (.bashrc, say) must print nothing for a command: `%s true` has to be silent", l.commandLine())
	}
	if errors.Is(err, tunnel.ErrVersion) {
		return failf(exitNoServer, "%s: the hotswap there has another version of dial-stdio", host).withHint("install the same version on both machines")
	}
	if !l.waits(ungreeted) {
		return failf(exitNoServer, "%s: the command closed its output before hotswap began there", host)
	}
	switch code := l.cmd.ProcessState.ExitCode(); code {
	case 255:
		f := failf(exitNoServer, "%s: not reached: ssh failed, and says why above", host)
		if _, err := os.Lstat(l.to.arg); err == nil {
			return f.withHint("the file of that name is ./%s", l.to.arg)
		}
		return f.withHint("`%s true` must work first", l.commandLine())
	case 127:
		return failf(exitNoServer, "%s: hotswap is not installed there, or not in the PATH that a command gets from ssh", host).
			withHint("install it there (/usr/local/bin, say), or name it: $%s=/path/to/hotswap", envRemote)
	case 126:
		return failf(exitNoServer, "%s: the hotswap there can't be run", host).withHint("is it executable, and for that machine's processor?")
	case 0:
		return failf(exitNoServer, "%s: the command there ended without a word: it was not hotswap dial-stdio", host).
			withHint("a key with another command=, a ForceCommand, or a shell like nologin is in the way")
	default:
		return failf(exitNoServer, "%s: the command ended before hotswap began there (%s)", host, l.cmd.ProcessState).
			withHint("what it said is above; an older hotswap has no dial-stdio")
	}
}

// commandLine is what a user would run to reach the same machine.
func (l *link) commandLine() string {
	words := []string{"ssh"}
	if ssh := os.Getenv(envSSH); ssh != "" {
		words[0] = ssh
	}
	if l.to.port != "" {
		words = append(words, "-p", l.to.port)
	}
	return printable.Line(strings.Join(append(words, shellWord(l.to.host)), " "))
}

// backTo is what a user would run to have hotswap push a backup there. The paths go through
// the shell here, and joined by spaces through the one there.
func (l *link) backTo(backup, live string) string {
	remote := os.Getenv(envRemote)
	if remote == "" {
		remote = "hotswap"
	}
	words := []string{l.commandLine(), shellWord(remote), "cp", "--backup=existing"}
	if l.socket != "" {
		words = append(words, "--socket", shellWord(shellWord(l.socket)))
	}
	return strings.Join(append(words, shellWord(shellWord(backup)), shellWord(shellWord(live))), " ")
}

// lost says more of a connection that was lost, if it is ssh that has ended.
func (l *link) lost(err error) error {
	if !l.waits(time.Second / 10) {
		return err
	}
	return &failure{code: exitCode(err), err: err, hint: fmt.Sprintf("the connection to %s ended (%s)", l.to.host, l.cmd.ProcessState)}
}
