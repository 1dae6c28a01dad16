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
	db, d := open(t, "", 1)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), peerRole+"="+d.Path())
	cmd.Stderr = os.Stderr
	child := testenv.Start(t, cmd)
	if got := child.Line(); got != "ready" {
		t.Fatal(got)
	}
	peer := fmt.Sprintf("process %d (", cmd.Process.Pid)
	f := mustFreeze(t, d, driver.FreezeOptions{Peers: true})
	f.Replaced()
	f.Thaw()
	if len(f.Peers) != 1 || f.Peers[0].Generation != 2 || !strings.Contains(f.Peers[0].Problem, "OnSwap callback that has not returned") {
		t.Errorf("the peers: %+v", f.Peers)
	}
	mustExec(t, db, "INSERT INTO t (v) VALUES ('x')")
	var refused *driver.PeerError
	if _, err := d.Freeze(t.Context(), driver.FreezeOptions{Peers: true}); !errors.As(err, &refused) || !errors.Is(err, driver.ErrFreezing) ||
		!strings.Contains(err.Error(), peer) || !strings.Contains(err.Error(), "OnSwap callbacks") {
		t.Errorf("the next freeze: %v", err)
	}
	mustExec(t, db, "INSERT INTO t (v) VALUES ('y')")
	fmt.Fprintln(child.In)
	if got := child.Line(); got != "returned" {
		t.Fatal(got)
	}
	f = mustFreeze(t, d, driver.FreezeOptions{Peers: true})
	f.Thaw()
	if len(f.Peers) != 1 || f.Peers[0].Problem != "" {
		t.Errorf("the peers then: %+v", f.Peers)
	}
}
