package swapper_test

import (
	"bufio"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"hotswap/internal/openers"
	"hotswap/internal/testenv"
)

// otherProcess is the role of a child process that uses the database with a
// plain driver; the variable holds its data source name. It runs a statement a
// line, on one connection that it opens with the first, and answers with one
// line: the first column of all rows, or the error. "open" and a query answers
// with its first row and stops there; "rest" with all that come after it.
const otherProcess = "HOTSWAP_TEST_OTHER"

func serveOther(dsn string) {
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	db.SetMaxOpenConns(1)
	var open *sql.Rows
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		query, first := strings.CutPrefix(in.Text(), "open ")
		if query == "rest" {
			fmt.Println(readOther(open, -1))
			continue
		}
		rows, err := db.Query(query)
		switch {
		case err != nil:
			fmt.Println("error: " + err.Error())
		case first:
			open = rows
			fmt.Println(readOther(rows, 1))
		default:
			fmt.Println(readOther(rows, -1))
		}
	}
	db.Close()
}

// readOther reads n rows, or all there are and ends them.
func readOther(rows *sql.Rows, n int) string {
	var all []string
	for len(all) != n && rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			return "error: " + err.Error()
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return "error: " + err.Error()
	}
	if n < 0 {
		rows.Close()
	}
	return strings.Join(all, ",")
}

// other is another process that has the database open.
type other struct {
	*testenv.Child
	t    *testing.T
	mark string // the end of a statement
}

// startOther starts one. Its program may be wrapped, by strace say.
func startOther(t *testing.T, dsn string, wrapper ...string) *other {
	t.Helper()
	args := append(wrapper, os.Args[0])
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), otherProcess+"="+dsn)
	cmd.Stderr = os.Stderr
	return startCommand(t, cmd)
}

// startShell starts SQLite's own shell, which is another build of the library,
// and as a rule another version. Each line must have one row for an answer.
func startShell(t *testing.T, path string) *other {
	t.Helper()
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		testenv.Skip(t, "the sqlite3 shell must be installed")
	}
	// With a terminal's buffering each answer comes when it is there.
	cmd := exec.Command("stdbuf", "-oL", shell, "-batch", "-cmd", ".timeout 5000", path)
	cmd.Stderr = os.Stderr
	o := startCommand(t, cmd)
	o.mark = ";"
	return o
}

func startCommand(t *testing.T, cmd *exec.Cmd) *other {
	t.Helper()
	o := &other{Child: testenv.Start(t, cmd), t: t}
	t.Cleanup(func() { o.Process.Kill() })
	testenv.Eventually(t, func() error { // from then on a push takes it for somebody else
		if openers.IsPreExec(o.Process.Pid) {
			return errors.New("it stays a preExec process")
		}
		return nil
	})
	return o
}

// send has it run a statement; Line waits for what comes of it.
func (o *other) send(query string) { fmt.Fprintln(o.In, query+o.mark) }

func (o *other) run(query string) string {
	o.t.Helper()
	o.send(query)
	return o.Line()
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

// quit closes its connection and ends it.
func (o *other) quit() {
	o.t.Helper()
	if err := o.End(); err != nil {
		o.t.Error(err)
	}
}
