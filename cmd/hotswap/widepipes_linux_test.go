package main

import (
	"bufio"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestThePipesBetweenHereAndThereAreWide: with narrow ones the processes of a transfer wait
// for one another at each packet of ssh's.
func TestThePipesBetweenHereAndThereAreWide(t *testing.T) {
	wide := func(name string, pipe *os.File) {
		t.Helper()
		raw, err := pipe.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if size, err := unix.FcntlInt(fd, unix.F_GETPIPE_SZ, 0); err != nil || size < 1<<20 {
				t.Errorf("%s holds %d bytes, %v", name, size, err)
			}
		})
	}
	t.Setenv(envSSH, "cat #")
	l, err := startSSH(address{host: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	wide("ssh's input", l.pipes[0])
	wide("ssh's output", l.pipes[1])

	cmd := exec.Command("hotswap", "dial-stdio")
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdin, cmd.Stdout = theirIn, theirOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	if greeting, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", greeting, err)
	}
	wide("dial-stdio's input", in)
	wide("dial-stdio's output", out)
	in.Close()
	cmd.Wait()
}
