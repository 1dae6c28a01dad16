package testenv

import (
	"bufio"
	"io"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// Child is another process, of a kind that ends when its stdin does.
type Child struct {
	*exec.Cmd
	In  io.WriteCloser // its stdin
	Out *bufio.Scanner // the lines of its stdout

	t   testing.TB
	end func() error
}

// Start starts a command as a child, which ends with the test at the latest.
func Start(t testing.TB, cmd *exec.Cmd) *Child {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &Child{Cmd: cmd, In: in, Out: bufio.NewScanner(out), t: t}
	c.end = sync.OnceValue(func() error {
		c.In.Close()
		late := time.AfterFunc(time.Minute, func() { c.Process.Kill() }) // it may be stopped
		defer late.Stop()
		return c.Wait()
	})
	t.Cleanup(func() { c.End() })
	return c
}

// Line waits for the next line of its stdout. A child that prints none within a
// minute, or has ended, fails the test.
func (c *Child) Line() string {
	c.t.Helper()
	late := time.AfterFunc(time.Minute, func() { c.Process.Kill() })
	defer late.Stop()
	if !c.Out.Scan() {
		c.t.Fatalf("%s is gone, or says nothing: %v", c.Path, c.Out.Err())
	}
	return c.Out.Text()
}

// End closes its stdin and waits until it has ended. Its error is Wait's: nil if
// the child ended with success. One that has not ended within a minute is killed. It may
// be called again, for the same error.
func (c *Child) End() error { return c.end() }
