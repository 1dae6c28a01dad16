package together

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var wait = flag.Duration("wait", 0, "how long each way to wait for SQLite's locks is looked at")

// With a rollback journal SQLite's busy handler decides who gets the file, and a call may
// be unlucky for seconds: it sleeps 100 ms between its tries, and others come first. This
// shows how much of that is there without this driver, and without a kill.
func TestWithARollbackJournalCallsWaitForSecondsOnTheRawDriver(t *testing.T) {
	if *wait == 0 {
		t.Skip("only with -wait: it takes three times that")
	}
	raw := worked(t, settings{Raw: true}, nil)
	ours := worked(t, settings{}, nil)
	killed := worked(t, settings{}, func(w *world) {
		last := len(w.all) - 1
		w.all[last].Process.Kill()
		w.all[last].End()
		w.all[last] = w.start(settings{Worker: true})
	})
	t.Logf("p50, p99, p99.9 and the longest: raw %v, with the driver %v, with a process killed each second %v", raw, ours, killed)
	// The longest is one call's bad luck.
	if most := raw[2] + time.Second; ours[2] > most || killed[2] > most {
		t.Errorf("one call of a thousand waited for %v, and %v beside kills; on the raw driver for %v", ours[2], killed[2], raw[2])
	}
}

// worked has three processes at work for a while, and returns how long calls took: the
// median, 99 and 99.9 per cent of them, and the longest.
func worked(t *testing.T, s settings, each func(*world)) []time.Duration {
	t.Helper()
	w := newWorld(t, "DELETE")
	for i := range 3 {
		s.Worker = i == 2
		w.add(s)
	}
	for range int(*wait / time.Second) {
		time.Sleep(time.Second)
		if each != nil {
			each(w)
		}
	}
	w.end()
	names, _ := filepath.Glob(filepath.Join(w.dir, "history-*"))
	var took []time.Duration
	for _, name := range names {
		calls, err := readHistory(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range calls {
			if c.what == "failed" {
				t.Error(fmt.Sprint(c.where, ": ", c.text))
			}
			if c.what != "tries" {
				took = append(took, time.Duration(c.end-c.began))
			}
		}
	}
	slices.Sort(took)
	at := func(q float64) time.Duration { return took[int(q*float64(len(took)-1))] }
	return []time.Duration{at(0.5), at(0.99), at(0.999), at(1)}
}
