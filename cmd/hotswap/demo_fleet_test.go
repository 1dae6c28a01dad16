package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hotswap/internal/testenv"
)

func TestDemoOfAFleetRollsOutHaltsCatchesUpAndGoesBack(t *testing.T) {
	testenv.Long(t)
	exe := command(t)
	dir := demoTempDir(t)
	var out bytes.Buffer
	err := runFleetDemo(t.Context(), exe, &demoPrinter{out: &out, began: time.Now()})
	t.Logf("\n%s", out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"catalog@2 done", "an item costs", "catalog@4 done", "rollback to catalog@2 done", " calls served, 0 failed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it did not say %q", want)
		}
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > demoWidth {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	wantEmpty(t, dir)
}

// TestDemoOfAFleetBreaksTheLinesOfAStatus, below what it says of the node.
func TestDemoOfAFleetBreaksTheLinesOfAStatus(t *testing.T) {
	var out strings.Builder
	d := &fleetDemo{demoPrinter: &demoPrinter{out: &out}}
	d.row("rollback to catalog@2 done")
	d.row("  web-1  catalog@2  wave 1  in order; swapped in at 06:49:01, pause 1.43ms")
	want := `          | rollback to catalog@2 done
          |   web-1  catalog@2  wave 1  in order; swapped in at 06:49:01, pause
          |                             1.43ms
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
