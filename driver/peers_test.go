package driver_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// peerRole is the variable that makes a child a peer, and has the database's path.
const peerRole = "HOTSWAP_TEST_PEER"

// bePeer has an OnSwap callback that does not return before the first line of stdin, and
// ends with stdin.
func bePeer(path string) error {
	db, err := sql.Open(driver.Name, path)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Ping(); err != nil {
		return err
	}
	d, _ := driver.Lookup(path)
	end := make(chan struct{})
	d.OnSwap(func(driver.Swap) { <-end })
	fmt.Println("ready")
	in := bufio.NewScanner(os.Stdin)
	in.Scan()
	close(end)
	driver.AwaitOnSwap(d)
	fmt.Println("returned")
	in.Scan()
	return in.Err()
}

// Of processes that have the file open more is in internal/together.
func TestAnOnSwapOfAPeerThatDoesNotReturnIsNamedAndHoldsUpNoCaller(t *testing.T) {
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "there are no peers")
	}
	t.Setenv("HOTSWAP_PEERS", "on")
	defer driver.SetOnSwapPatience(time.Second)()
	for range 5 {
		silent := swapWithAHangingOnSwap(t)
		if silent == "" {
			return
		}
		t.Log(silent)
	}
	t.Error("the peer was silent five times")
}

// swapWithAHangingOnSwap is the test, and says what the peer has not answered in time, if
// that was so: a machine that gives it no processor for two seconds is not at fault.
func swapWithAHangingOnSwap(t *testing.T) (silent string) {
	db, d := open(t, "", 1)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), peerRole+"="+d.Path())
	cmd.Stderr = os.Stderr
	child := testenv.Start(t, cmd)
	defer child.End()
	if got := child.Line(); got != "ready" {
		t.Fatal(got)
	}
	peer := fmt.Sprintf("process %d (", cmd.Process.Pid)
	var refused *driver.PeerError
	tooLate := func(err error) bool { return errors.As(err, &refused) && !errors.Is(err, driver.ErrFreezing) }

	f, err := d.Freeze(t.Context(), driver.FreezeOptions{Peers: true})
	if tooLate(err) {
		return err.Error()
	} else if err != nil {
		t.Fatal(err)
	}
	f.Replaced()
	f.Thaw()
	if len(f.Peers) == 0 || f.Peers[0].Generation == 0 {
		return fmt.Sprintf("the swap: %+v", f.Peers)
	}
	if len(f.Peers) != 1 || f.Peers[0].Generation != 2 || !strings.Contains(f.Peers[0].Problem, "OnSwap callback that has not returned") {
		t.Errorf("the peers: %+v", f.Peers)
	}
	mustExec(t, db, "INSERT INTO t (v) VALUES ('x')")
	f, err = d.Freeze(t.Context(), driver.FreezeOptions{Peers: true})
	if err == nil {
		f.Thaw()
	}
	if tooLate(err) || err == nil && len(f.Peers) == 0 {
		return fmt.Sprint("the next freeze: ", err)
	}
	if !errors.Is(err, driver.ErrFreezing) || !strings.Contains(err.Error(), peer) || !strings.Contains(err.Error(), "OnSwap callbacks") {
		t.Errorf("the next freeze: %v", err)
	}
	mustExec(t, db, "INSERT INTO t (v) VALUES ('y')")
	fmt.Fprintln(child.In)
	if got := child.Line(); got != "returned" {
		t.Fatal(got)
	}
	f, err = d.Freeze(t.Context(), driver.FreezeOptions{Peers: true})
	if tooLate(err) {
		return err.Error()
	} else if err != nil {
		t.Fatal(err)
	}
	f.Thaw()
	if len(f.Peers) == 0 {
		return "the last freeze"
	}
	if len(f.Peers) != 1 || f.Peers[0].Problem != "" {
		t.Errorf("the peers then: %+v", f.Peers)
	}
	return ""
}
