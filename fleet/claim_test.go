package fleet

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"hotswap/internal/unix"
)

// TestADatabaseIsOneNodes: the second of another name is told whose it is, and may join once that
// one has left; the second of the same name is the next release.
func TestADatabaseIsOneNodes(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "catalog.sqlite3"), filepath.Join(dir, "link.sqlite3")
	if err := os.Symlink("catalog.sqlite3", link); err != nil {
		t.Fatal(err)
	}
	join := func(name, path string) (*Node, error) {
		return Join(t.Context(), Config{Engine: "nats://127.0.0.1:1", Node: name, Databases: map[string]string{"catalog": path}})
	}
	must := func(name string) *Node {
		t.Helper()
		n, err := join(name, path)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	refused := func() {
		t.Helper()
		_, err := join("b", link)
		want := fmt.Sprintf("join as b: the database of catalog: fleet: not a valid configuration: node a (process %d) has this database already", os.Getpid())
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Fatal(err)
		}
	}
	first := must("a")
	refused()
	second := must("a")
	first.Close()
	refused()
	second.Close()
	if _, err := os.Stat(path + "-hotswap-node"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is left behind: %v", err)
	}
	must("b").Close()
}

// TestAProcessThatDiesHasNoDatabase any more.
func TestAProcessThatDiesHasNoDatabase(t *testing.T) {
	const env = "HOTSWAP_TEST_CLAIM"
	if path := os.Getenv(env); path != "" { // the other process
		if _, err := claimDatabase(path, "a"); err != nil {
			fmt.Println(err)
		}
		fmt.Println("claimed")
		io.Copy(io.Discard, os.Stdin)
		return
	}
	path := filepath.Join(t.TempDir(), "catalog.sqlite3")
	other := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	other.Env = append(os.Environ(), env+"="+path)
	stdin, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "claimed\n" {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := claimDatabase(path, "b"); !errors.Is(err, errClaimed) || !strings.Contains(err.Error(), fmt.Sprintf("node a (process %d)", other.Process.Pid)) {
		t.Errorf("beside the other process: %v", err)
	}
	other.Process.Kill()
	other.Wait()
	c, err := claimDatabase(path, "b")
	if err != nil {
		t.Fatal(err)
	}
	c.release()
}

// TestNodesOfTwoNamesNeverHaveOneDatabase, however they come and go.
func TestNodesOfTwoNamesNeverHaveOneDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.sqlite3")
	var have [2]atomic.Int64 // how many of each name
	var got atomic.Int64
	var work sync.WaitGroup
	for i := range 6 {
		work.Go(func() {
			mine, other := i%2, 1-i%2
			for range 300 {
				c, err := claimDatabase(path, fmt.Sprint("node-", mine))
				if errors.Is(err, errClaimed) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				have[mine].Add(1)
				if have[other].Load() != 0 {
					t.Error("nodes of both names have it")
				}
				got.Add(1)
				have[mine].Add(-1)
				c.release()
			}
		})
	}
	work.Wait()
	if got.Load() == 0 {
		t.Error("nobody had it")
	}
}

// TestAClaimOnAFileWithoutANameIsNot one: who had it before may have removed it.
func TestAClaimOnAFileWithoutANameIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.sqlite3")
	old, err := claimDatabase(path, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path + "-hotswap-node"); err != nil {
		t.Fatal(err)
	}
	if _, err := old.take("a"); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("it is taken: %v", err)
	}
	now, err := claimDatabase(path, "b")
	if err != nil {
		t.Fatal(err)
	}
	old.release()
	if _, err := claimDatabase(path, "a"); !errors.Is(err, errClaimed) {
		t.Errorf("the file of the other was removed: %v", err)
	}
	now.release()
}
