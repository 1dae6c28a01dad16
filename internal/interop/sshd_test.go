package interop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/internal/testenv"
)

// sshd is OpenSSH's server, on a port of this machine, with keys of its own and a
// command in the PATH that it gives to what it runs.
type sshd struct {
	t      *testing.T
	dir    string // has the command, the keys and the configurations
	port   string
	socket string // of the program that a restricted key is for
}

// startSSHD has a client's configuration with a host for each thing to try.
func startSSHD(t *testing.T, socket string) *sshd {
	t.Helper()
	server, err := exec.LookPath("sshd")
	if err != nil {
		server = "/usr/sbin/sshd"
	}
	if _, err := os.Stat(server); err != nil {
		testenv.Skip(t, "sshd must be installed (Debian's openssh-server): %v", err)
	}
	s := &sshd{t: t, dir: t.TempDir(), port: freePort(t), socket: socket}
	build := exec.Command("go", "build", "-o", s.at("hotswap"), "./cmd/hotswap")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the command: %v\n%s", err, out)
	}
	for _, key := range []string{"host", "user", "bound", "noisy", "stranger"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", key, "-f", s.at(key)).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	s.write("authorized_keys",
		s.read("user.pub"),
		fmt.Sprintf("restrict,command=\"hotswap dial-stdio --socket '%s'\" %s", socket, s.read("bound.pub")),
		`command="echo Welcome; exec $SSH_ORIGINAL_COMMAND" `+s.read("noisy.pub"))
	s.write("banner", "Authorized use only.")
	s.write("sshd_config",
		"ListenAddress 127.0.0.1:"+s.port, "HostKey "+s.at("host"), "PidFile none", "UsePAM no", "StrictModes no",
		"AuthorizedKeysFile "+s.at("authorized_keys"), "PasswordAuthentication no", "KbdInteractiveAuthentication no",
		"PermitRootLogin prohibit-password", "Banner "+s.at("banner"), "SetEnv PATH="+s.dir+":/usr/bin:/bin", "LogLevel VERBOSE")
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	s.write("known_hosts", "prod "+s.read("host.pub"))
	s.write("ssh_config",
		"Host *", "HostName 127.0.0.1", "User "+who.Username, "HostKeyAlias prod", "UserKnownHostsFile "+s.at("known_hosts"),
		"GlobalKnownHostsFile none", "StrictHostKeyChecking yes", "BatchMode yes", "IdentitiesOnly yes", "IdentityAgent none",
		"Host down", "Port "+freePort(t), "Host prod bound noisy stranger", "Port "+s.port,
		"Host prod", "IdentityFile "+s.at("user"), "Host bound", "IdentityFile "+s.at("bound"),
		"Host noisy", "IdentityFile "+s.at("noisy"), "Host stranger", "IdentityFile "+s.at("stranger"))
	if os.Geteuid() == 0 { // where it confines itself
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.Create(s.at("sshd.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(server, "-D", "-e", "-f", s.at("sshd_config"))
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(s.read("sshd.log"))
		}
	})
	testenv.Eventually(t, func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:"+s.port)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return s
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func (s *sshd) at(name string) string { return filepath.Join(s.dir, name) }

func (s *sshd) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.at(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func (s *sshd) write(name string, lines ...string) {
	s.t.Helper()
	if err := os.WriteFile(s.at(name), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// hotswap is the command here; a test of what it says wants the locale's own words.
func (s *sshd) hotswap(args ...string) *exec.Cmd {
	cmd := exec.Command(s.at("hotswap"), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "HOTSWAP_SSH=ssh -F "+s.at("ssh_config"), "LC_ALL=C")
	return cmd
}

// run runs it to its end.
func (s *sshd) run(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	var out, problems strings.Builder
	cmd := s.hotswap(args...)
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), problems.String()
}
