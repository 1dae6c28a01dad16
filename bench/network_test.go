package bench

import (
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// network is another machine, as far as ssh can tell: a network namespace with an sshd in
// it, at the other end of a cable that has a rate.
type network struct {
	b   *testing.B
	dir string
}

const (
	netns     = "hotswap-bench"
	nearEnd   = "hsbench0"
	farEnd    = "hsbench1"
	nearAddr  = "10.213.7.1"
	farAddr   = "10.213.7.2"
	farsPort  = "2222"
	rateBurst = "128kb"
)

// newNetwork makes it. Nothing of it stays.
func newNetwork(b *testing.B, exe string) *network {
	n := &network{b: b, dir: b.TempDir()}
	for _, tool := range []string{"ip", "tc", "/usr/sbin/sshd", "ssh-keygen", "ssh"} {
		if _, err := osexec.LookPath(tool); err != nil || os.Geteuid() != 0 {
			b.Skipf("a network takes root and %s: %v", tool, err)
		}
	}
	must := func(name string, args ...string) {
		b.Helper()
		if err := command(name, args...); err != nil {
			b.Fatal(err)
		}
	}
	command("ip", "netns", "del", netns) // of a run that was killed
	command("ip", "link", "del", nearEnd)
	must("ip", "netns", "add", netns)
	b.Cleanup(func() { command("ip", "netns", "del", netns) })
	must("ip", "link", "add", nearEnd, "type", "veth", "peer", "name", farEnd, "netns", netns)
	must("ip", "addr", "add", nearAddr+"/24", "dev", nearEnd)
	must("ip", "link", "set", nearEnd, "up")
	must("ip", "-n", netns, "addr", "add", farAddr+"/24", "dev", farEnd)
	must("ip", "-n", netns, "link", "set", farEnd, "up")
	must("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", n.at("key"))
	key, err := os.ReadFile(n.at("key.pub"))
	if err != nil {
		b.Fatal(err)
	}
	n.write("authorized_keys", string(key))
	n.write("known_hosts", farAddr+" "+string(key), "["+farAddr+"]:"+farsPort+" "+string(key))
	n.write("sshd_config", "ListenAddress "+farAddr, "Port "+farsPort, "HostKey "+n.at("key"), "PidFile none", "UsePAM no",
		"StrictModes no", "AuthorizedKeysFile "+n.at("authorized_keys"), "Subsystem sftp internal-sftp",
		"SetEnv PATH="+filepath.Dir(exe)+":/usr/bin:/bin")
	n.write("ssh_config", "Host far", "HostName "+farAddr, "Port "+farsPort, "User root", "IdentityFile "+n.at("key"),
		"IdentitiesOnly yes", "UserKnownHostsFile "+n.at("known_hosts"), "BatchMode yes")
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		b.Fatal(err)
	}
	sshd := osexec.Command("ip", "netns", "exec", netns, "/usr/sbin/sshd", "-D", "-e", "-f", n.at("sshd_config"))
	if err := sshd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { sshd.Process.Kill(); sshd.Wait() })
	for range 100 {
		if err = command("ssh", "-F", n.at("ssh_config"), "far", "true"); err == nil {
			return n
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal(err)
	return nil
}

func (n *network) at(name string) string { return filepath.Join(n.dir, name) }

func (n *network) write(name string, lines ...string) {
	if err := os.WriteFile(n.at(name), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		n.b.Fatal(err)
	}
}

// rate limits both directions to so many megabits a second.
func (n *network) rate(b *testing.B, mbit int) {
	b.Helper()
	for _, end := range [][]string{{"qdisc", "replace", "dev", nearEnd}, {"-n", netns, "qdisc", "replace", "dev", farEnd}} {
		args := append(end, "root", "tbf", "rate", fmt.Sprintf("%dmbit", mbit), "burst", rateBurst, "latency", "50ms")
		if err := command("tc", args...); err != nil {
			b.Fatal(err)
		}
	}
}

// carried is how many bytes went through the cable, in both directions, in frames.
func (n *network) carried(b *testing.B) (sum int64) {
	b.Helper()
	for _, count := range []string{"rx_bytes", "tx_bytes"} {
		text, err := os.ReadFile("/sys/class/net/" + nearEnd + "/statistics/" + count)
		if err != nil {
			b.Fatal(err)
		}
		bytes, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += bytes
	}
	return sum
}
