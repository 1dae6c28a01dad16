package swapper_test

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// otherProcess is the role of a child process that uses the database with a
// plain driver; the variable holds its data source name. It runs a statement a
// line, on one connection that it opens with the first, and answers with one
// line: the first column of all rows, or the error.
const otherProcess = "HOTSWAP_TEST_OTHER"

func serveOther(dsn string) {
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	db.SetMaxOpenConns(1)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		fmt.Println(runOther(db, in.Text()))
	}
	db.Close()
}

func runOther(db *sql.DB, query string) string {
	rows, err := db.Query(query)
	if err != nil {
		return "error: " + err.Error()
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return "error: " + err.Error()
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return "error: " + err.Error()
	}
	return strings.Join(all, ",")
}

// other is another process that has the database open.
type other struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// startOther starts one. Its program may be wrapped, by strace say.
func startOther(t *testing.T, dsn string, wrapper ...string) *other {
	t.Helper()
	args := append(wrapper, os.Args[0])
	o := &other{t: t, cmd: exec.Command(args[0], args[1:]...)}
	o.cmd.Env = append(os.Environ(), otherProcess+"="+dsn)
	o.cmd.Stderr = os.Stderr
	var err error
	if o.in, err = o.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	o.out = bufio.NewScanner(out)
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		o.cmd.Process.Kill()
		o.cmd.Wait()
	})
	return o
}

// send has it run a statement; answer waits for what comes of it.
func (o *other) send(query string) { fmt.Fprintln(o.in, query) }

func (o *other) answer() string {
	o.t.Helper()
	if !o.out.Scan() {
		o.t.Fatalf("the other process is gone: %v", o.out.Err())
	}
	return o.out.Text()
}

func (o *other) run(query string) string {
	o.t.Helper()
	o.send(query)
	return o.answer()
}

// must runs a statement that must not fail.
func (o *other) must(query string) string {
	o.t.Helper()
	a := o.run(query)
	if strings.HasPrefix(a, "error: ") {
		o.t.Fatalf("in the other process: %s: %s", query, a)
	}
	return a
}

// end closes its connection and ends it.
func (o *other) end() {
	o.t.Helper()
	o.in.Close()
	if err := o.cmd.Wait(); err != nil {
		o.t.Error(err)
	}
}
