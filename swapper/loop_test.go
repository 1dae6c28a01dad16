package swapper_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/sockserver"
)

// otherLoop makes of another process (see otherProcess) one that writes and reads
// all the time, until its standard input ends. Its kind is one of these:
//
//	held     a connection of the plain driver, opened before all pushes
//	reopen   a connection for each round, closed after it
//	hotswap  a program like the one that is tested: this driver, and its own
//	         socket, at $HOTSWAP_SOCKET
//
// It tells, a line each: "ack ID STAMP" for a write; "read STAMP" as the answer
// to a line "read", of a transaction that began after it; "busy" for a
// SQLITE_BUSY; "error: …" for anything else, and for a read of a mixture, with
// which it ends.
const otherLoop = "HOTSWAP_TEST_LOOP"

// roundEvery is the rate of a loop. In a rollback journal mode writers that do
// nothing else keep one another from the lock for seconds.
const roundEvery = 5 * time.Millisecond

func serveLoop(kind, dsn string) {
	name := "sqlite3"
	if kind == "hotswap" {
		name = driver.Name
		server, err := sockserver.Start(sockserver.Config{})
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		defer server.Close()
	}
	db, err := sql.Open(name, dsn)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	defer db.Close()
	if kind == "reopen" {
		db.SetMaxIdleConns(0)
	}
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			asked <- struct{}{}
		}
	}()
	rounds := time.NewTicker(roundEvery)
	defer rounds.Stop()
	for n := 0; ; n++ {
		read := false
		select {
		case _, read = <-asked:
			if !read {
				return
			}
		case <-rounds.C:
		}
		id := fmt.Sprintf("%d/%d", os.Getpid(), n)
		acked, seen, err := writeAndRead(db, id)
		for try := 1; ; try++ {
			if acked != "" { // whatever came after it
				fmt.Println("ack", id, acked)
			}
			if err != nil {
				tellLoop(err)
			}
			if err != nil && !isBusy(err) {
				return
			}
			if !read || err == nil {
				break
			}
			id = fmt.Sprintf("%d/%d/%d", os.Getpid(), n, try)
			acked, seen, err = writeAndRead(db, id)
		}
		if read && err == nil {
			fmt.Println("read", seen)
		}
	}
}

func tellLoop(err error) {
	if isBusy(err) {
		fmt.Println("busy")
	} else {
		fmt.Println("error:", err)
	}
}

// writeAndRead is one round of a loop, on one connection: a write, into the
// database stamped acked, and a transaction that looks twice at what it sees. A
// push may come between the two.
func writeAndRead(db *sql.DB, id string) (acked, seen string, err error) {
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	if err := conn.QueryRowContext(ctx, write(id)).Scan(&acked); err != nil {
		return "", "", err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return acked, "", err
	}
	defer tx.Rollback()
	var again string
	if err := tx.QueryRow(readStamps).Scan(&seen); err != nil {
		return acked, "", err
	}
	if err := tx.QueryRow("SELECT group_concat(DISTINCT stamp) FROM items NOT INDEXED").Scan(&again); err != nil {
		return acked, "", err
	}
	if seen != again || strings.Contains(seen, ",") {
		return acked, "", fmt.Errorf("one transaction read %s and then %s", seen, again)
	}
	return acked, seen, nil
}

// loop is another process that writes and reads all the time.
type loop struct {
	*other
	kind   string
	socket string // that a hotswap loop listens on
	reads  chan string
	ended  chan struct{}

	// Valid once ended is closed.
	acks, busy int
}

// startLoop returns once the first write has been acknowledged.
func startLoop(tr *trail, kind, dsn string, wrapper ...string) *loop {
	t := tr.t
	t.Helper()
	dir, err := os.MkdirTemp("", "hotswap-") // short: a socket's path may be no longer than 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "sock")
	args := append(wrapper, os.Args[0])
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), otherProcess+"="+dsn, otherLoop+"="+kind, sockserver.EnvSocket+"="+socket)
	cmd.Stderr = os.Stderr
	l := &loop{other: startCommand(t, cmd), kind: kind, socket: socket, reads: make(chan string, 1), ended: make(chan struct{})}
	first := make(chan struct{})
	go func() {
		defer close(l.ended)
		for l.Out.Scan() {
			switch f := strings.Fields(l.Out.Text()); {
			case f[0] == "ack" && len(f) == 3:
				tr.acknowledged(f[1], f[2])
				if l.acks++; l.acks == 1 {
					close(first)
				}
			case f[0] == "read" && len(f) == 2:
				l.reads <- f[1]
			case f[0] == "busy":
				l.busy++
			default:
				t.Errorf("in the other process, which is of kind %s: %s", kind, l.Out.Text())
			}
		}
	}()
	select {
	case <-first:
	case <-l.ended:
		t.Fatal("the other process has not come to its work")
	}
	return l
}

// readsNow returns what a transaction of the other process that begins now reads.
func (l *loop) readsNow() string {
	l.t.Helper()
	l.send("read")
	late := time.AfterFunc(2*time.Minute, func() { l.Process.Kill() })
	defer late.Stop()
	select {
	case stamp := <-l.reads:
		return stamp
	case <-l.ended:
		l.t.Fatal("the other process is gone, or does not answer")
		return ""
	}
}

// quit ends it once all that it has told is known.
func (l *loop) quit() {
	l.t.Helper()
	l.In.Close()
	<-l.ended
	if err := l.End(); err != nil {
		l.t.Error(err)
	}
}

// delayedAt is a wrapper that holds another process up for a moment at every
// system call of a sort on path: "openat:delay_enter", say.
func delayedAt(t *testing.T, path, where string, microseconds int) []string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		testenv.Skip(t, "strace must be installed")
	}
	call, _, _ := strings.Cut(where, ":")
	return []string{strace, "-f", "-qq", "-o", "/dev/null", "-P", path, "-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s=%d", where, microseconds)}
}
