package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hotswap/driver"
	"hotswap/internal/fileuri"
	"hotswap/sockserver"
)

// The commands of the scripts, each a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"hotswap":  main,
		"server":   func() { exitOn(serverMain()) },
		"exits":    exitsMain,
		"nobody":   nobodyMain,
		"sql":      func() { exitOn(sqlMain()) },
		"digest":   func() { exitOn(digestMain()) },
		"leave":    func() { exitOn(leaveMain()) },
		"halfpush": func() { exitOn(halfPushMain()) },
		"deadsock": func() { exitOn(deadSocketMain()) },
		"corrupt":  func() { exitOn(corruptMain()) },
	})
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestScripts(t *testing.T) {
	root, err := os.MkdirTemp("", "hs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil { // for another user
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		WorkdirRoot:         root,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": serve,
			"halt":  halt,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOTSWAP_SOCKET", "")
			env.Setenv("HOTSWAP_STDERR_SOCKET", "")
			// With -race, each of some hundred processes would sleep a second at its end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Values[serversKey{}] = map[string]*testServer{}
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition == "root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
	})
}

type serversKey struct{}

// testServer is a `server` that a script runs.
type testServer struct {
	cmd   *exec.Cmd
	stdin io.Closer
}

// serve is "serve NAME [flags] DB...": it starts a server and returns once it
// is ready. "halt NAME" ends it; "halt -KILL NAME" does not let it end itself.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: serve NAME [flags] DB...")
	}
	path := ""
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if candidate := filepath.Join(dir, "server"); path == "" {
			if _, err := os.Stat(candidate); err == nil {
				path = candidate
			}
		}
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Stderr = os.Stderr
	for _, name := range []string{"HOTSWAP_SOCKET", "HOTSWAP_STDERR_SOCKET", "PATH", "TMPDIR", "GORACE"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		cmd.Wait()
		ts.Fatalf("the server is not ready: %q, %v", line, err)
	}
	server := &testServer{cmd, stdin}
	ts.Value(serversKey{}).(map[string]*testServer)[args[0]] = server
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			stdin.Close()
			cmd.Wait()
		}
	})
}

func halt(ts *testscript.TestScript, neg bool, args []string) {
	kill := len(args) == 2 && args[0] == "-KILL"
	if neg || len(args) != 1 && !kill {
		ts.Fatalf("usage: halt [-KILL] NAME")
	}
	server := ts.Value(serversKey{}).(map[string]*testServer)[args[len(args)-1]]
	if kill {
		ts.Check(server.cmd.Process.Kill())
		server.cmd.Wait()
		return
	}
	ts.Check(server.stdin.Close())
	ts.Check(server.cmd.Wait())
}

// serverMain is a program with managed databases, until its stdin ends.
func serverMain() error {
	var cfg sockserver.Config
	flag.DurationVar(&cfg.Timeout, "timeout", 0, "")
	flag.DurationVar(&cfg.MaxPause, "max-pause", 0, "")
	hold := flag.Bool("hold", false, "keep a transaction open")
	allow := flag.Int("allow", -1, "a user to let in")
	pattern := flag.String("pattern", "", "Config.DatabasePaths")
	refuse := flag.String("refuse", "", "what Validate says")
	validating := flag.Bool("stop-in-validate", false, "pass the FIFOs entered and leave in Validate")
	swapping := flag.Bool("stop-after-swap", false, "pass the FIFOs entered and leave in OnSwap")
	noStderr := flag.Bool("no-stderr", false, "remove the stderr socket")
	flag.Parse()
	if *allow >= 0 {
		cfg.AllowUIDs = []uint32{uint32(*allow)}
	}
	if *pattern != "" {
		cfg.DatabasePaths = []string{*pattern}
	}
	cfg.Validate = func(ctx context.Context, _ *sql.DB) error {
		if *validating {
			if err := passFIFOs(ctx); err != nil {
				return err
			}
		}
		if *refuse != "" {
			return errors.New(*refuse)
		}
		return nil
	}
	for _, path := range flag.Args() {
		db, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
		if err != nil {
			return err
		}
		defer db.Close()
		if err := db.Ping(); err != nil {
			return err
		}
		if *hold {
			tx, err := db.Begin()
			if err != nil {
				return err
			}
			defer tx.Rollback()
			if _, err := tx.Exec("INSERT INTO t VALUES (1000, 'held')"); err != nil {
				return err
			}
		}
		if managed, ok := driver.Lookup(path); ok && *swapping {
			managed.OnSwap(func(driver.Swap) { passFIFOs(context.Background()) })
		}
	}
	server, err := sockserver.Start(cfg)
	if err != nil {
		return err
	}
	if *noStderr {
		if err := os.Remove(server.StderrSocketPath()); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return server.Close()
}

// passFIFOs tells the script that it is there, and waits for it.
func passFIFOs(ctx context.Context) error {
	if err := os.WriteFile("entered", []byte("entered\n"), 0); err != nil {
		return err
	}
	left := make(chan error, 1)
	go func() {
		_, err := os.ReadFile("leave")
		left <- err
	}()
	select {
	case err := <-left:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exitsMain is "exits CODE COMMAND...": it fails unless the command exits with
// CODE. It hands signals on.
func exitsMain() {
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

// sqlMain is "sql DB STATEMENT...": it prints the rows of each.
func sqlMain() error {
	db, err := sql.Open("sqlite3", fileuri.New(os.Args[1], "_busy_timeout=5000"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range os.Args[2:] {
		if err := printRows(os.Stdout, db, statement); err != nil {
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

// digestMain is "digest DB": the digest of all that SQLite reads in it.
func digestMain() error {
	db, err := sql.Open("sqlite3", fileuri.New(os.Args[1], "_busy_timeout=5000"))
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
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
	fmt.Printf("%x\n", hash.Sum(nil))
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
	db, err := sql.Open("sqlite3", fileuri.New(os.Args[2], params...))
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
