package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"hotswap/internal/testapp"
	"hotswap/internal/testenv"
)

// command is the path of the scripts' hotswap, which is this test's binary under
// another name: the demo runs cp in a process of its own.
func command(t *testing.T) string {
	t.Helper()
	exe, err := exec.LookPath("hotswap")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GORACE", "atexit_sleep_ms=0")
	return exe
}

// demoTempDir makes the demo put its files where the test can see them. It is
// not t.TempDir, which makes a path too long for a socket.
func demoTempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "demo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
	return dir
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestDemoPushesPullsAndCleansUp(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	exe := command(t)
	dir := demoTempDir(t)
	ignore := goleak.IgnoreCurrent()
	var out bytes.Buffer
	err := runDemo(t.Context(), exe, &demoPrinter{out: &out, began: time.Now()}, 50*time.Millisecond)
	t.Logf("\n%s", out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"generation 1 → 2", "generation 5 → 6",
		"with exit code 65 · generation 3 as before",
		"of generation 4, with",
		"the worker's, too\n",
		" calls served, 0 failed; it was told of 5 swaps\n",
		" calls served, 0 failed\n",
		"each is in the file that was live then",
		"each saw one database, none went back",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it did not say %q", want)
		}
	}
	for line := range strings.Lines(out.String()) {
		line = strings.ReplaceAll(line, dir, "/tmp")
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > demoWidth {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	wantEmpty(t, dir)
	goleak.VerifyNone(t, ignore)
}

// onFirst calls do when what is written first contains text.
type onFirst struct {
	text string
	do   func()
}

func (w *onFirst) Write(p []byte) (int, error) {
	if w.do != nil && strings.Contains(string(p), w.text) {
		w.do()
		w.do = nil
	}
	return len(p), nil
}

func TestDemoCleansUpWhenItIsInterrupted(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	exe := command(t)
	for _, when := range []string{"made ", "serving ", "$ hotswap cp -b new-2.db", "OK after"} {
		t.Run(when, func(t *testing.T) {
			dir := demoTempDir(t)
			ignore := goleak.IgnoreCurrent()
			ctx, cancel := context.WithCancel(t.Context())
			out := &onFirst{when, cancel}
			err := runDemo(ctx, exe, &demoPrinter{out: out, began: time.Now()}, 50*time.Millisecond)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("it ended with %v", err)
			}
			wantEmpty(t, dir)
			goleak.VerifyNone(t, ignore)
		})
	}
}

func TestDemoFailsIfThePushDidNothing(t *testing.T) {
	nothing := filepath.Join(t.TempDir(), "hotswap") // but the worker
	script := fmt.Sprintf("#!/bin/sh\n[ \"$1\" = cp ] || exec '%s' \"$@\"\n", command(t))
	if err := os.WriteFile(nothing, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	dir := demoTempDir(t)
	err := runDemo(t.Context(), nothing, &demoPrinter{out: new(bytes.Buffer), began: time.Now()}, 0)
	if err == nil || !strings.Contains(err.Error(), "generation 1 follows generation 1") {
		t.Errorf("it ended with %v", err)
	}
	wantEmpty(t, dir)
}

func TestDemoFailsIfACallFailedOrAReadWasMixed(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	for name, c := range map[string]struct {
		harm func(t *testing.T, d *demo)
		want string
	}{
		"nothing is wrong": {func(*testing.T, *demo) {}, ""},
		"a call failed": {func(t *testing.T, d *demo) {
			if _, err := d.svc.WritePool().ExecContext(t.Context(), `DROP TABLE testapp_write`); err != nil {
				t.Fatal(err)
			}
		}, "no such table"},
		"a read was mixed": {func(_ *testing.T, d *demo) {
			d.history.AddRead(testapp.Read{Reader: "r", Seq: 1, Call: testapp.CallStatement, Seen: testapp.Seen{Low: 1, High: 2}})
		}, "mixed: read r/1 (statement) saw generations 1 and 2 at once"},
		"a write is lost": {func(_ *testing.T, d *demo) {
			d.history.AddWrite(testapp.Write{ID: testapp.ID{Writer: "w", Seq: 1}, Kind: testapp.Single, Span: testapp.Span{First: 1, Last: 1}, Acked: true})
		}, "lost: write w/1 (insert) was acknowledged in generation 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := demoTempDir(t)
			exe := command(t)
			d := &demo{
				demoPrinter: &demoPrinter{out: new(bytes.Buffer), began: time.Now()},
				exe:         exe,
				dir:         dir,
				live:        filepath.Join(dir, "shop.db"),
				socket:      filepath.Join(dir, "hotswap.sock"),
				history:     new(testapp.History),
				loadBegan:   time.Now(),
			}
			if err := d.start(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.harm(t, d)
			await := d.svc.Meter().Await(t.Context(), 2, testapp.CallNested)
			load := d.svc.StartLoad(testapp.LoadConfig{Readers: 1, Writers: 1, Think: time.Millisecond})
			if err := errors.Join(await, d.svc.Meter().Await(t.Context(), 10, testapp.CallStatement)); err != nil {
				t.Error(err)
			}
			load.Stop()
			ended := time.Now()
			if err := d.svc.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			err := d.verdict(t.Context(), ended)
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the verdict is %v, want %q", err, c.want)
			}
		})
	}
}

func TestTimelineHasARowForEachPowerOfTen(t *testing.T) {
	slots := []testapp.Slot{
		{},
		{Calls: 2, Longest: 10 * time.Microsecond},
		{Calls: 4, Longest: time.Millisecond},
		{Calls: 8, Longest: 31623 * time.Microsecond},
		{Calls: 1, Longest: 100 * time.Millisecond},
	}
	want := []string{
		"  100 ms    ▄█",
		"   10 ms    ██",
		"    1 ms  ▁███",
		"   calls  ▂▄█▁",
	}
	if got := timelineBars(slots); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// A call that takes for ever must not draw for ever.
	if got := timelineBars([]testapp.Slot{{Calls: 1, Longest: time.Hour}}); len(got) != timelineRows+1 {
		t.Errorf("an hour takes %d rows", len(got))
	}
}

func TestDurationsAndNumbersAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                        "0 ms",
		420 * time.Microsecond:   "0.42 ms",
		4260 * time.Microsecond:  "4.3 ms",
		43210 * time.Microsecond: "43 ms",
		10 * time.Millisecond:    "10 ms",
		1726 * time.Millisecond:  "1.7 s",
		10 * time.Second:         "10 s",
	} {
		if got := demoDuration(d); got != want {
			t.Errorf("%v is shown as %q, want %q", d, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := demoNumber(n); got != want {
			t.Errorf("%d is shown as %q, want %q", n, got, want)
		}
	}
}

func TestDemoPrinterIsPlainUnlessToldOtherwise(t *testing.T) {
	print := func(styled bool) string {
		var out bytes.Buffer
		p := &demoPrinter{out: &out, styled: styled, began: time.Now()}
		p.title("a title")
		p.command("a remark", "-b", "/tmp/x/new.db", "/tmp/x/shop.db")
		p.quote(strings.Repeat("a long message from the command ", 5))
		p.waits(nil)
		p.waits([]testapp.Wait{
			{Call: testapp.CallPrepared, Calls: 12, Longest: 123456 * time.Microsecond},
			{Call: testapp.CallPinned, Calls: 12, Longest: 12345 * time.Microsecond},
			{Call: testapp.CallNested, Calls: 12, Longest: 9345 * time.Microsecond},
			{Call: testapp.CallCached, Calls: 12, Longest: 1},
		})
		return out.String()
	}
	plain := print(false)
	for line := range strings.Lines(plain) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > demoWidth {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	if strings.Contains(plain, "\x1b") {
		t.Errorf("escape sequences in %q", plain)
	}
	if !strings.Contains(plain, "$ hotswap cp -b new.db shop.db   # a remark\n") || !strings.Contains(plain, "48 calls met the pause") {
		t.Errorf("got\n%s", plain)
	}
	if !strings.Contains(print(true), "\x1b[1ma title\x1b[0m") {
		t.Error("nothing stands out on a terminal")
	}
}
