package together

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"hotswap/internal/openers"
	"hotswap/internal/peers"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// stranger has the database open in the process of the test, through SQLite alone.
func (w *world) stranger() *sql.DB {
	w.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { db.Close() })
	if _, err := db.Exec("SELECT g FROM meta"); err != nil {
		w.t.Fatal(err)
	}
	return db
}

// leaves closes the stranger's connections, and waits until no child of the test that has
// not come to its exec yet, for another test, has what they had open.
func (w *world) leaves(stranger *sql.DB) {
	w.t.Helper()
	stranger.Close()
	testenv.Until(w.t, "the programs alone have it open", func() bool {
		return !slices.ContainsFunc(openers.At(w.path), func(p openers.Process) bool {
			return !slices.ContainsFunc(w.all, func(c *child) bool { return c.Process.Pid == p.PID })
		})
	})
}

// isTold demands that so many swaps come to be known to c.
func (c *child) isTold(swaps int) {
	c.w.t.Helper()
	testenv.Eventually(c.w.t, func() error {
		var stamp string
		var generation, told int
		fmt.Sscan(c.tell("look"), &stamp, &generation, &told)
		if told != swaps || generation != swaps+1 {
			return fmt.Errorf("%s was told of %d swaps, and has generation %d; want %d", c.process(), told, generation, swaps)
		}
		return nil
	})
}

func TestPeersAreToldOfAPushInPlace(t *testing.T) {
	t.Parallel()
	for i, journal := range journals {
		t.Run(journal, func(t *testing.T) {
			testenv.Every(t, i, 2)
			t.Parallel()
			w := newWorld(t, journal)
			a, b, c := w.add(settings{Idle: true}), w.add(settings{Idle: true}), w.add(settings{Idle: true})
			stranger := w.stranger()
			for range 2 {
				out := a.mustPush(order{Timeout: 20 * time.Second})
				if out.Report.Method != swapper.MethodInPlace || len(out.Report.Peers) != 2 {
					t.Fatalf("%+v", out.Report)
				}
				for _, p := range out.Report.Peers {
					if p.PID != b.Process.Pid && p.PID != c.Process.Pid || p.Pause <= 0 || p.Generation != uint64(a.told+1) || p.Problem != "" {
						t.Errorf("of a peer it says %+v", p)
					}
				}
			}
			// A transaction of a peer keeps the push from the write lock, by its name.
			if err := b.tell("begin"); err != "<nil>" {
				t.Fatal(err)
			}
			out, _ := a.push(order{Method: swapper.MethodInPlace, Timeout: 200 * time.Millisecond})
			if !out.Busy || !strings.Contains(out.Err, fmt.Sprintf("in %s (", b.process())) {
				t.Errorf("the push: %s", out.Err)
			}
			w.agree()
			if out := a.mustPush(order{Method: swapper.MethodInPlace, Timeout: 200 * time.Millisecond, Force: true}); len(out.Report.Peers) != 2 {
				t.Errorf("by force: %+v", out.Report)
			}
			w.leaves(stranger)
			if out := b.mustPush(order{}); out.Report.Method != swapper.MethodRename {
				t.Errorf("with nobody else: %+v", out.Report)
			}
			w.end()
		})
	}
}

func TestWritesOfAPeerWaitWhileAPushWritesInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a := w.add(settings{Idle: true})
	conn := hostAs(t, a, peers.Message{File: inodeOf(w.path), InPlace: true}, peers.Join, peers.Hush)
	if got := a.tell("exec INSERT INTO acked VALUES('held')"); got != "context deadline exceeded" {
		t.Errorf("a write: %s", got)
	}
	w.agree() // which reads
	conn.Send(peers.Message{Op: peers.Thaw, N: 9, Swapped: true, File: inodeOf(w.path)})
	for _, want := range []peers.Op{peers.Thawed, peers.Told} {
		m, err := conn.Receive(time.Minute)
		for err == nil && m.Op == peers.Still {
			m, err = conn.Receive(time.Minute)
		}
		if err != nil || m.Op != want || m.N != 9 || want == peers.Thawed && (m.Generation != 2 || m.Pause <= 0 || m.File != inodeOf(w.path)) {
			t.Errorf("it answers %+v, %v; want %s", m, err, want)
		}
	}
	a.told = 1
	w.agree()
	a.sees()
	a.mustPush(order{Method: swapper.MethodRename})
}

// Whether a pusher that is gone had committed nobody can know.
func TestAPusherInPlaceThatDiesOrIsSilentLeavesItsPeersServing(t *testing.T) {
	t.Parallel()
	for i, then := range [][]peers.Op{{peers.Hush}, {peers.Shut, peers.Close}, {peers.Shut}, {}} {
		if i > 0 && testenv.Sample(0, 1) == 0 {
			break
		}
		w := newWorld(t, "WAL")
		a := w.add(settings{Idle: true})
		ops := append([]peers.Op{peers.Join}, then...)
		for swaps, dies := range []bool{true, false} {
			conn := hostAs(t, a, peers.Message{File: inodeOf(w.path), InPlace: true}, ops...)
			if dies {
				conn.Close()
			}
			testenv.Eventually(t, func() error {
				if got := a.tell("exec INSERT INTO acked VALUES('held')"); got != "<nil>" {
					return fmt.Errorf("after %v, died %t: %s", ops, dies, got)
				}
				return nil
			})
			if !dies {
				a.isTold(1) // it may still commit
				conn.Close()
			}
			a.isTold(swaps + 1)
		}
		a.told = 2
		a.mustPush(order{Method: swapper.MethodRename})
		a.End()
	}
}

// Without locks it would read pages of both contents. It is closed where all connections
// are, with a rollback journal.
func TestAPeerThatReadsWithoutLocksIsNotWrittenUnder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a, b := w.add(settings{Idle: true}), w.add(settings{Idle: true})
	stranger := w.stranger()
	if err := b.tell("unlocked"); err != "<nil>" {
		t.Fatal(err)
	}
	out, _ := a.push(order{Timeout: 300 * time.Millisecond})
	if !out.Busy || !strings.Contains(out.Err, b.process()) || !strings.Contains(out.Err, "immutable=1") {
		t.Errorf("the push: %+v", out)
	}
	w.agree()
	w.leaves(stranger)
	if out := a.mustPush(order{}); out.Report.Method != swapper.MethodRename {
		t.Errorf("with nobody else: %+v", out.Report)
	}
	w.end()
}
