//go:build linux && (amd64 || arm64)

package sweep

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/seccomp"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// read has a goroutine read all the time while a push is made, and say so after each
// read; another says whenever a call waits at the gate.
var read = []scenario{
	{name: "read-WAL", journal: "WAL", slow: true, do: reading(push(rename))},
	{name: "read-DELETE", journal: "DELETE", slow: true, do: reading(push(rename))},
}

const (
	markRead  = "/hotswap-sweep/read"
	markWaits = "/hotswap-sweep/waits"
)

func reading(do func(*victim) (swapper.Report, error)) func(*victim) (swapper.Report, error) {
	return func(v *victim) (swapper.Report, error) {
		var stopped [2]chan error
		stop := make(chan struct{})
		for i, step := range []func() error{
			func() error {
				var n int
				err := v.pool.QueryRow("SELECT count(*) FROM acks").Scan(&n)
				unix.Access(markRead, 0)
				return err
			},
			func() error {
				if v.db.Stats().Waiting > 0 {
					unix.Access(markWaits, 0)
				}
				time.Sleep(100 * time.Microsecond)
				return nil
			},
		} {
			stopped[i] = make(chan error, 1)
			go func() {
				for {
					select {
					case <-stop:
						stopped[i] <- nil
						return
					default:
					}
					if err := step(); err != nil {
						stopped[i] <- err
						return
					}
				}
			}()
		}
		report, err := do(v)
		close(stop)
		return report, errors.Join(err, <-stopped[0], <-stopped[1])
	}
}

// flow holds each fsync of a push until it is known whether readers wait for it: until
// three reads have ended meanwhile, or a reader was twice seen to wait at the gate. The
// first time that may have been before.
type flow struct {
	held         *seccomp.Notification
	what         string
	reads, waits int
	free, gated  []string // the syncs for which readers don't wait, and those for which they do
}

func (w *flow) decide(s *supervisor, n seccomp.Notification, c call) error {
	switch {
	case c.name == "faccessat" && c.paths[0] == markRead:
		w.reads++
	case c.name == "faccessat" && c.paths[0] == markWaits:
		w.waits++
	case w.held == nil && (c.name == "fsync" || c.name == "fdatasync"):
		w.held, w.what, w.reads, w.waits = &n, c.String(), 0, 0
		return nil
	}
	if w.held != nil && (w.reads >= 3 || w.waits >= 2) {
		if w.reads >= 3 {
			w.free = append(w.free, w.what)
		} else {
			w.gated = append(w.gated, w.what)
		}
		held := *w.held
		w.held = nil
		if err := s.Proceed(held); err != nil {
			return err
		}
	}
	return s.Proceed(n)
}

func TestReadersWaitForNoSyncButThatOfTheRename(t *testing.T) {
	for _, scenario := range read {
		t.Run(scenario.name, func(t *testing.T) {
			t.Parallel()
			want := []string{"fsync " + filepath.Dir(databaseFile)}
			var flow *flow
			// A read that takes long keeps the WAL, which is emptied then with the gate closed.
			for try := 0; try < 5 && (flow == nil || !slices.Equal(flow.gated, want)); try++ {
				flow = flowOf(t, scenario)
			}
			if !slices.Equal(flow.gated, want) {
				t.Errorf("readers wait for %q, want %q", flow.gated, want)
			}
			for _, name := range map[string][]string{"WAL": {databaseFile, databaseFile + "-wal"}, "DELETE": {databaseFile, filepath.Dir(databaseFile)}}[scenario.journal] {
				if !slices.Contains(flow.free, "fsync "+name) {
					t.Errorf("%s is not synced while they read: %q", name, flow.free)
				}
			}
			t.Logf("while readers read: %q", flow.free)
		})
	}
}

// flowOf makes a push with readers going on.
func flowOf(t *testing.T, scenario scenario) *flow {
	t.Helper()
	f := &fixture{scenario: scenario, root: runsDir(t)}
	f.seed, _ = f.database(t, "old", 80, true)
	f.image, _ = f.database(t, "new", 120, false)
	if err := f.place(f.root); err != nil {
		t.Fatal(err)
	}
	s := &supervisor{place: placeOf(f.root), flow: &flow{}}
	out, _, err := s.supervise(victimCommand(f.name, f.root))
	if errors.Is(err, errNoFilter) {
		testenv.Skip(t, "system calls can't be supervised here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var o outcome
	if err := json.Unmarshal(out, &o); err != nil || o.Error != "" || !o.Swapped {
		t.Fatalf("%v: %s", err, out)
	}
	return s.flow
}
