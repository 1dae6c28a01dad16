package main

import (
	"os/exec"
	"strings"
	"testing"

	"hotswap/internal/testenv"
)

func manual(t *testing.T) string {
	t.Helper()
	code, stdout, stderr := runCaptured(t, t.Context(), "man")
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	return stdout
}

func TestTheManualPageIsWellFormed(t *testing.T) {
	text := manual(t)
	checked := false
	for _, command := range [][]string{
		{"groff", "-man", "-ww", "-z", "-Tutf8"},
		{"mandoc", "-T", "lint", "-W", "warning"},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			continue
		}
		checked = true
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Stdin = strings.NewReader(text)
		out, _ := cmd.CombinedOutput() // one that complains may fail, too
		for line := range strings.Lines(string(out)) {
			// Without a date, the same source always makes the same page.
			if !strings.Contains(line, "missing date") {
				t.Errorf("%s", line)
			}
		}
	}
	if !checked {
		testenv.Skip(t, "groff or mandoc is needed")
	}
}

func TestTheManualPageSaysWhatTheHelpSays(t *testing.T) {
	text := manual(t)
	parser, err := newParser(t.Context(), &streams{})
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands(parser.Model) {
		for _, flags := range command.AllFlags(true) {
			for _, flag := range flags {
				if !strings.Contains(text, roff(flag.String())) {
					t.Errorf("%s is missing of %s", flag, command.Name)
				}
			}
		}
	}
	for _, words := range []string{".SH \"EXIT STATUS\"", "HOTSWAP_SOCKET", "no server at the socket", `$ hotswap cp \-\-backup new.sqlite3`, `production.sqlite3\(ti`, ".B \"Examples:\"\n"} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is missing", words)
		}
	}
	for _, hidden := range []string{"onlyCp", "mv", `hotswap complete `} {
		if strings.Contains(text, hidden) {
			t.Errorf("%q is there", hidden)
		}
	}
}
