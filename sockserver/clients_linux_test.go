package sockserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// TestIdleClientsTakeNoDescriptorThatTheProgramNeeds: the program is another process,
// which may have 64 of them.
func TestIdleClientsTakeNoDescriptorThatTheProgramNeeds(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv("HOTSWAP_TEST_FEW_DESCRIPTORS"); dir != "" {
		openInTurns(dir)
		return
	}
	dir := shortDir(t)
	cmd := exec.Command("sh", "-c", `ulimit -n 64; exec "$0" "$@"`, os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env, cmd.Stderr = append(os.Environ(), "HOTSWAP_TEST_FEW_DESCRIPTORS="+dir), os.Stderr
	child := testenv.Start(t, cmd)
	defer child.End()
	if line := child.Line(); line != "listening" {
		t.Fatal(line)
	}
	var idle []net.Conn
	for _, socket := range []string{"s", "e"} {
		for range 40 {
			conn, err := net.Dial("unix", filepath.Join(dir, socket))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			idle = append(idle, conn)
		}
	}
	open := func(n int) {
		t.Helper()
		fmt.Fprintln(child.In, n)
		if line := child.Line(); line != "opened" {
			t.Fatalf("with idle clients, connection %d: %s", n, line)
		}
	}
	open(9) // beside as many clients as there may be, and those that are being refused
	for _, socket := range []string{"s", "e"} {
		last, err := net.Dial("unix", filepath.Join(dir, socket))
		if err != nil {
			t.Fatal(err)
		}
		defer last.Close()
		fmt.Fprint(last, "GET / HTTP/1.0\r\n\r\n")
		io.Copy(io.Discard, last) // whatever the answer, even a reset: the others have theirs
	}
	for n := 10; n <= 18; n++ {
		testenv.Until(t, "nobody is being refused, and a quarter of the descriptors is free, or there is no client", func() bool {
			open, sockets := descriptorsOf(t, child.Process.Pid)
			return sockets <= 2+16 && open <= 48 || sockets == 2
		})
		open(n)
	}
	late := time.Now().Add(readHeaderTimeout - 2*time.Second)
	for _, conn := range idle { // few are left now without any of them
		conn.SetReadDeadline(late)
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("an idle client is still connected")
		}
	}
	c := NewClient(ClientConfig{SocketPath: filepath.Join(dir, "s"), StderrSocketPath: filepath.Join(dir, "e")})
	defer c.Close()
	if _, err := c.Version(t.Context()); err != nil {
		t.Errorf("a client that asks for something: %v", err)
	}
}

// descriptorsOf counts the descriptors of a process, and the sockets among them.
func descriptorsOf(t *testing.T, pid int) (open, sockets int) {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range all {
		if name, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && strings.HasPrefix(name, "socket:") {
			sockets++
		}
	}
	return len(all), sockets
}

// openInTurns is that program: it opens as many connections as each line says, in all.
func openInTurns(dir string) {
	pool, err := sql.Open(driver.Name, "file:"+filepath.Join(dir, "db")+"?_journal=WAL")
	if err != nil {
		os.Exit(1)
	}
	var all []*sql.Conn
	grow := func(n int) (err error) {
		for len(all) < n && err == nil {
			var conn *sql.Conn
			if conn, err = pool.Conn(context.Background()); err == nil {
				all = append(all, conn)
				_, err = conn.ExecContext(context.Background(), "CREATE TABLE IF NOT EXISTS t (v); SELECT * FROM t")
			}
		}
		return err
	}
	if err := grow(1); err != nil {
		os.Exit(1)
	}
	if _, err := Start(Config{SocketPath: filepath.Join(dir, "s"), StderrSocketPath: filepath.Join(dir, "e")}); err != nil {
		os.Exit(1)
	}
	fmt.Println("listening")
	var line string
	for {
		if _, err := fmt.Scanln(&line); err != nil {
			os.Exit(0)
		}
		n, _ := strconv.Atoi(line)
		if err := grow(n); err != nil {
			fmt.Println(len(all), strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Println("opened")
	}
}
