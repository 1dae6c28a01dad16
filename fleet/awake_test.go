//go:build linux

package fleet

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// awakeEnv has the process that is stopped.
const awakeEnv = "HOTSWAP_AWAKE"

// stayAwake says whether a hook that has two seconds still has some of them after it was
// stopped for three.
func stayAwake() {
	ctx, cancel := awake(context.Background(), 2*time.Second)
	defer cancel()
	last := time.Now()
	fmt.Println("begun")
	for now := last; now.Sub(last) < time.Second; now = time.Now() {
		last = now
		time.Sleep(time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	fmt.Println("after the stop", ctx.Err())
	<-ctx.Done()
}

// TestAHookLosesNoTimeWhileItsProcessIsStopped: it would be late with its first instruction.
func TestAHookLosesNoTimeWhileItsProcessIsStopped(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), awakeEnv+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	says := bufio.NewScanner(out)
	says.Scan()
	cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(3 * time.Second)
	cmd.Process.Signal(syscall.SIGCONT)
	says.Scan()
	if got := says.Text(); got != "after the stop <nil>" {
		t.Error(got)
	}
	if err := cmd.Wait(); err != nil { // its time ends all the same
		t.Error(err)
	}
}
