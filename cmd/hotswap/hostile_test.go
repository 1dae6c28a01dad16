package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"hotswap/driver"
	"hotswap/sockserver"
	"hotswap/swapper"
)

// hostile is what a client, a path, a query or a process's name may be: it sets
// the window's title, in two ways, turns the direction of writing, and begins a line.
const hostile = "x\x1b]0;owned\a\u009b31m\u202e\x7f\r\nhotswap: owned"

// assertPrintable fails for what a terminal would obey, and for a line that only
// hostile begins.
func assertPrintable(t *testing.T, what, printed string) {
	t.Helper()
	for _, r := range printed {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			t.Errorf("%s prints %q:\n%q", what, r, printed)
			break
		}
	}
	if strings.Contains("\n"+printed, "\nhotswap: owned") {
		t.Errorf("%s prints a line that is not its own:\n%q", what, printed)
	}
}

func TestNothingThatCameFromElsewhereCommandsTheTerminal(t *testing.T) {
	size := int64(1)
	holders := []driver.Holder{{Kind: driver.HoldRows, Query: hostile, For: time.Hour}}
	problem := &sockserver.Problem{Type: sockserver.ProblemBusy, Title: hostile, Status: 409, Detail: hostile, Hint: hostile, Holders: holders}
	program := http.NewServeMux()
	socket, database := serveHandler(t, program)
	program.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(problem.Status)
		json.NewEncoder(w).Encode(problem)
	})
	program.HandleFunc("/v1/databases", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode([]sockserver.DatabaseInfo{
			{Path: database, Open: true, Size: &size, JournalMode: hostile, Holders: holders,
				Peers:  []driver.Peer{{PID: 2, Program: hostile, Problem: hostile, Holders: holders}},
				OpenIn: []sockserver.Opener{{PID: 1, Command: hostile}}, Warnings: []string{hostile}},
			{Path: "/" + hostile},
		})
	})
	program.HandleFunc("/v1/version", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(sockserver.VersionInfo{Version: hostile, Go: hostile, SQLite: hostile})
	})
	program.HandleFunc("/v1/events", func(w http.ResponseWriter, r *http.Request) {
		line := func(step swapper.Step) sockserver.Line {
			return sockserver.Line{Command: hostile, Path: hostile, Event: swapper.Event{Step: step, Text: hostile, Holders: holders}}
		}
		encoder := json.NewEncoder(w)
		for _, step := range []swapper.Step{swapper.StepPushStarted, swapper.StepReopened, swapper.StepWaiting, swapper.StepGateClosed} {
			encoder.Encode(line(step))
		}
		last := line(swapper.StepPushFailed)
		last.Last, last.Problem = true, problem
		encoder.Encode(last)
	})
	dir := t.TempDir()
	source := filepath.Join(dir, "x\x1b]0;owned\a\u009b31m.db")
	if err := os.WriteFile(source, []byte("SQLite format 3\x00"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"status"},
		{"status", "--json"},
		{"log"},
		{"log", "--json"},
		{"version"},
		{"version", "--json"},
		{"cp", source, database},
		{"cp", "--json", source, database},
		{"cp", database, source},
		{"cp", database, hostile + "/nosuch"},
		{"cp", source, hostile},
		{"cp", "--" + hostile},
		{hostile},
		{"complete", "bash", "--", "cp", "--socket=" + socket, ""},
	} {
		if args[0] != "complete" {
			args = slices.Insert(args, 1, "--socket="+socket, "--stderr-socket="+socket)
		}
		_, stdout, stderr := runCaptured(t, t.Context(), args...)
		if stdout+stderr == "" {
			t.Errorf("%q prints nothing", args)
		}
		assertPrintable(t, strings.Join(args[:1], " ")+" on stdout", stdout)
		assertPrintable(t, strings.Join(args[:1], " ")+" on stderr", stderr)
	}
}

func TestANameWithALineBreakStaysOnItsLine(t *testing.T) {
	const name = "live\nhotswap: owned\x1b.db"
	program := http.NewServeMux()
	socket, beside := serveHandler(t, program)
	database := filepath.Join(filepath.Dir(beside), name)
	program.HandleFunc("/v1/databases", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode([]sockserver.DatabaseInfo{{Path: database}})
	})
	program.HandleFunc("/v1/snapshot", func(w http.ResponseWriter, r *http.Request) {})
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"cp", name, "database"},
		{"cp", dir, "database"},
		{"cp", empty, "database"},
		{"cp", name, "other"},
		{"cp", database, database},
		{"cp", "database", database + "-wal"},
		{"cp", "database", filepath.Join(dir, "nosuch", "copy")},
		{"cp", "database", empty},
		{"cp", "--force", "database", name},
		{"status", "--socket=" + name},
		{"log", "--stderr-socket=" + name},
		{"cp", "--progress=" + name, "database", "x"},
		{name},
	} {
		line := args
		if args[0] != "status" {
			line = slices.Insert(slices.Clone(args), 1, "--socket="+socket)
		}
		code, stdout, stderr := runCaptured(t, t.Context(), line...)
		if code == 0 || !strings.Contains(stderr, `\nhotswap: owned`) {
			t.Errorf("%q: exit %d\n%s", args, code, stderr)
		}
		if strings.Contains(stdout+stderr, "  hotswap: owned") || strings.Contains("\n"+stdout+stderr, "\nhotswap: owned") || strings.Contains(stdout+stderr, "\x1b") {
			t.Errorf("%q prints\n%q", args, stdout+stderr)
		}
	}
}
