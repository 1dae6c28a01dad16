package together

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"hotswap/internal/peers"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// TestARawTransactionOfAPeerIsWaitedForInPlace, and goes on meanwhile, although the peer's
// driver knows of it only by asking SQLite. Rows that are open there read the old content.
func TestARawTransactionOfAPeerIsWaitedForInPlace(t *testing.T) {
	t.Parallel()
	for _, journal := range journals {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, journal)
			a, b := w.add(settings{Idle: true}), w.add(settings{Idle: true})
			held := 1
			if journal == "WAL" { // else readers are waited for, too
				if err := b.tell("rows"); err != "<nil>" {
					t.Fatal(err)
				}
				held++
			}
			must := func(text string) {
				t.Helper()
				if err := b.tell("raw " + text); err != "<nil>" {
					t.Fatalf("%s: %s", text, err)
				}
			}
			must("BEGIN IMMEDIATE; INSERT INTO acked VALUES('held')")
			stamp := a.begin(order{Method: swapper.MethodInPlace, Timeout: time.Minute})
			testenv.Eventually(t, func() error { // a raw transaction is counted while a swap waits for it
				if got := b.tell("held"); got != fmt.Sprint(held) {
					return fmt.Errorf("%s connections are held", got)
				}
				return nil
			})
			must("INSERT INTO acked VALUES('held')")
			must("COMMIT")
			out := a.ends(stamp)
			if out.Err != "" || len(out.Report.Peers) != 1 || out.Report.Peers[0].Problem != "" {
				t.Errorf("%+v", out)
			}
			w.agree()
			if journal == "WAL" {
				if err := b.tell("close"); err != "<nil>" {
					t.Error(err)
				}
			}
			w.end()
		})
	}
}

// TestAVisitHoldsUpNoPeer: what a push looks up in the live database before it swaps, and a
// status, have no peer do anything.
func TestAVisitHoldsUpNoPeer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a := w.add(settings{Idle: true})
	w.stranger() // by this process, which plays the peer
	var mu sync.Mutex
	var heard []peers.Op
	l := &liar{path: w.path, file: inodeOf(w.path), heard: func(op peers.Op) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, op)
	}}
	e, err := peers.Listen(l)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	a.tell("peers")
	if out, _ := a.push(order{DryRun: true}); out.Err != "" {
		t.Fatal(out.Err)
	}
	mu.Lock()
	if len(heard) == 0 || slices.ContainsFunc(heard, func(op peers.Op) bool { return op != peers.Status }) {
		t.Errorf("a dry run asked a peer to %q", heard)
	}
	heard = nil
	mu.Unlock()
	if out, _ := a.push(order{Method: swapper.MethodInPlace}); out.Err != "" {
		t.Fatal(out.Err)
	}
	mu.Lock()
	defer mu.Unlock()
	heard = slices.DeleteFunc(heard, func(op peers.Op) bool { return op == peers.Status })
	if !slices.Equal(slices.Compact(heard), []peers.Op{peers.Join, peers.Hush, peers.Thaw}) {
		t.Errorf("a push in place asked a peer to %q", heard)
	}
}
