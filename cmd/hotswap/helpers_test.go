package main

import (
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hotswap/internal/dbpath"
	"hotswap/sockserver"
)

// exitingMain is "exiting CODE COMMAND...": it fails unless the command exits with
// CODE. It hands signals on.
func exitingMain() {
	want, err := strconv.Atoi(os.Args[1])
	exitOn(err)
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	exitOn(cmd.Start())
	go func() {
		for sig := range signals {
			cmd.Process.Signal(sig)
		}
	}()
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != want {
		fmt.Fprintf(os.Stderr, "it exited with %d (%s), not with %d\n", got, cmd.ProcessState, want)
		os.Exit(1)
	}
}

// nobodyMain is "nobody ARGS...": hotswap, run by another user.
func nobodyMain() {
	const nobody = 65534
	exitOn(errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)))
	main()
}

// exits is "exits CODE COMMAND...", as exiting, but not for the background.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		code = ended.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("it exited with %d, not with %s", code, args[0])
	}
}

// onDatabase is a command of the scripts that works on a database.
func onDatabase(do func(w io.Writer, db *sql.DB, args []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		db, err := sql.Open("sqlite3", dbpath.URI(ts.MkAbs(args[0]), "_busy_timeout=5000"))
		ts.Check(err)
		defer db.Close()
		db.SetMaxOpenConns(1)
		if err := do(ts.Stdout(), db, args[1:]); neg == (err == nil) {
			ts.Fatalf("%v", err)
		}
	}
}

// runSQL is "sql DB STATEMENT...": it prints the rows of each.
func runSQL(w io.Writer, db *sql.DB, statements []string) error {
	for _, statement := range statements {
		if err := printRows(w, db, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

func printRows(w io.Writer, db *sql.DB, query string) error {
	rows, err := db.Query(query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]any, len(columns))
	for rows.Next() {
		row := make([]string, len(columns))
		for i := range values {
			values[i] = &row[i]
		}
		if err := rows.Scan(values...); err != nil {
			return err
		}
		fmt.Fprintln(w, strings.Join(row, "|"))
	}
	return rows.Err()
}

// printDigest is "digest DB": the digest of all that SQLite reads in it.
func printDigest(w io.Writer, db *sql.DB, _ []string) error {
	var tables strings.Builder
	if err := printRows(&tables, db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"); err != nil {
		return err
	}
	hash := sha256.New()
	if err := printRows(hash, db, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"); err != nil {
		return err
	}
	for table := range strings.Lines(tables.String()) {
		if err := printRows(hash, db, "SELECT quote(id), quote(v) FROM "+strings.TrimSpace(table)+" ORDER BY id"); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "%x\n", hash.Sum(nil))
	return nil
}

// leaveMain is "leave wal|journal DB STATEMENT": it runs the statement and
// dies, so that the file stays behind that has what is not in the database.
func leaveMain() error {
	params := []string{"_journal=WAL"}
	if os.Args[1] == "journal" {
		// Small enough a cache that the statement's changes reach the file.
		params = []string{"_journal=DELETE", "_cache_size=1"}
	}
	db, err := sql.Open("sqlite3", dbpath.URI(os.Args[2], params...))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if os.Args[1] == "journal" {
		if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
			return err
		}
	}
	if _, err := db.Exec(os.Args[3]); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// halfPushMain is "halfpush length|chunked FILE PATH": it sends half of the
// file, ends its half of the connection, and prints the answer.
func halfPushMain() error {
	body, err := os.ReadFile(os.Args[2])
	if err != nil {
		return err
	}
	socket, _ := sockserver.SocketPaths("", "")
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	half := body[:len(body)/2]
	query := "skip_integrity_check=1&skip_schema_check=1&path=" + os.Args[3]
	fmt.Fprintf(conn, "PUT /v1/database?%s HTTP/1.1\r\nHost: hotswap\r\n", query)
	if os.Args[1] == "length" {
		fmt.Fprintf(conn, "Content-Length: %d\r\n\r\n%s", len(body), half)
	} else {
		fmt.Fprintf(conn, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(half), half)
	}
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return err
	}
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err = io.Copy(os.Stdout, conn)
	return err
}

// deadSocketMain is "deadsock PATH".
func deadSocketMain() error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: os.Args[1], Net: "unix"})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false)
	return l.Close()
}

// onSocketMain is "onsocket FILE COMMAND...": the command has a socket as descriptor 3, from
// which it can read what is in the file.
func onSocketMain() error {
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	ours, its := os.NewFile(uintptr(ends[0]), "our end"), os.NewFile(uintptr(ends[1]), "its end")
	syscall.CloseOnExec(ends[0])
	syscall.CloseOnExec(ends[1])
	file, err := os.Open(os.Args[1])
	if err != nil {
		return err
	}
	defer file.Close()
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdout, os.Stderr, []*os.File{its}
	if err := cmd.Start(); err != nil {
		return err
	}
	its.Close()
	_, err = io.Copy(ours, file)
	ours.Close()
	return errors.Join(err, cmd.Wait())
}

// corruptMain is "corrupt FILE": it overwrites the second page.
func corruptMain() error {
	file, err := os.OpenFile(os.Args[1], os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteAt([]byte(strings.Repeat("rubbish ", 512)), 4096)
	return err
}
