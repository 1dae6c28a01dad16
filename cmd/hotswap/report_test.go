package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

var update = flag.Bool("update", false, "write the golden files anew")

// figures are what differs between two runs.
var figures = regexp.MustCompile(`"(pause_ns|writes_pause_ns|pause_ms|took_ns|for_ns|attempts)": [0-9.e-]+|"(sha256|tag)": "[0-9a-f]+"|[0-9.]+m?s\b`)

func assertGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (-update writes it anew) is:\n%s", path, got)
	}
}

func TestReportsOfACopyAreWhatProgramsReadThem(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		server []string
		args   []string
		exit   int
		stderr bool // the object is there
	}{
		{name: "push", args: []string{"-b", "new.db", "live.db"}},
		{name: "push-held", server: []string{"-hold"}, args: []string{"--timeout=50ms", "new.db", "live.db"}, exit: exitTryAgain},
		{name: "push-forced", server: []string{"-hold"}, args: []string{"--timeout=50ms", "--force", "new.db", "live.db"}},
		{name: "push-dry", args: []string{"-n", "new.db", "live.db"}},
		{name: "push-bad", args: []string{"noise", "live.db"}, exit: exitBadDatabase},
		{name: "push-missing", args: []string{"missing.db", "live.db"}, exit: exitFailed},
		{name: "neither", args: []string{"new.db", "other.db"}, exit: exitUsage},
		{name: "pull", args: []string{"live.db", "copy.db"}},
		{name: "pull-stdout", args: []string{"-q", "live.db", "-"}, stderr: true},
		{name: "pull-stdout-failed", args: []string{"-q", "--socket=missing", "live.db", "-"}, stderr: true, exit: exitNoServer},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, _ := program(t, test.server...)
			if err := os.WriteFile(filepath.Join(dir, "noise"), []byte(strings.Repeat("noise ", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir)
			code, stdout, stderr := runCaptured(t, t.Context(), append([]string{"cp", "--json"}, test.args...)...)
			t.Chdir(home)
			object := stdout
			if test.stderr {
				object = stderr
			}
			var parsed map[string]any
			if err := json.Unmarshal([]byte(object), &parsed); err != nil || code != test.exit || parsed["exit"] != float64(code) {
				t.Fatalf("exit %d, %v of %s%s", code, err, stdout, stderr)
			}
			if code != 0 && !test.stderr && !strings.HasPrefix(stderr, "hotswap: ") && !strings.Contains(stderr, "\nhotswap: ") {
				t.Errorf("it failed without words: %q", stderr)
			}
			object = strings.ReplaceAll(object, dir, "DIR")
			object = regexp.MustCompile(`"id": "[A-Z2-7]{12}"`).ReplaceAllString(object, `"id": "ID"`)
			assertGolden(t, test.name+".json", figures.ReplaceAllStringFunc(object, func(s string) string {
				key, _, isField := strings.Cut(s, ":")
				if !isField {
					return "TIME"
				}
				return key + ": 0"
			}))
		})
	}
}

func TestAReportSaysWhereItIsNotKnownWhichDatabaseIsLive(t *testing.T) {
	r := reportOfFailure(outcome(fmt.Errorf("%w: x", swapper.ErrOutcomeUnknown), &follower{}, "/db", "hotswap status"), "", "a", "b")
	if r.Swapped != nil || r.Exit != exitFailed {
		t.Errorf("got %+v", r)
	}
	r = reportOfFailure(outcome(fmt.Errorf("%w: x", swapper.ErrOutcomeUnknown), &follower{renamed: true}, "/db", "hotswap status"), "", "a", "b")
	if r.Swapped == nil || !*r.Swapped || r.Source != "a" || r.Target != "b" {
		t.Errorf("got %+v", r)
	}
}

func TestAPushWhoseReportIsLostIsSaidToBeDone(t *testing.T) {
	mux, socket, database := bareProgram(t)
	mux.HandleFunc("/v1/database", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte(`{"swapped": tr`))
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := runCaptured(t, context.Background(), "cp", "--socket="+socket, source, database)
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "the new database is live in "+database) {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}
