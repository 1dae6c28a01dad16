package together

import (
	"database/sql"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/peers"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// liar is a peer that says what is expected of it and does nothing; and at one question
// it does otherwise.
type liar struct {
	path  string
	file  peers.Inode // that it says it has
	at    peers.Op
	how   string
	met   chan struct{}  // gets a value when it was asked that
	heard func(peers.Op) // if set, gets all
}

var truths = map[peers.Op]peers.Op{peers.Join: peers.Joined, peers.Status: peers.State, peers.Shut: peers.Drained, peers.Filter: peers.Ready, peers.Open: peers.Rested, peers.Close: peers.Closed, peers.Hush: peers.Hushed}

func (l *liar) Serve(c *peers.Conn, first peers.Message) {
	if first.File != l.file {
		c.Send(peers.Message{V: peers.Version, Op: peers.No})
		return
	}
	c.SayStill()
	for m, err := first, error(nil); err == nil; m, err = c.Receive(time.Minute) {
		if m.Op == peers.Still {
			continue
		}
		if l.heard != nil {
			l.heard(m.Op)
		}
		answer := peers.Message{V: peers.Version, Op: truths[m.Op], N: m.N, Dir: inodeOf(filepath.Dir(l.path)), Base: []byte(filepath.Base(l.path))}
		if m.Op == l.at {
			select {
			case l.met <- struct{}{}:
			default:
			}
			switch l.how {
			case "hangs":
				continue
			case "hangs up":
				return
			case "talks nonsense":
				answer.Op = peers.Told
			}
		}
		c.Send(answer)
	}
}

func inodeOf(path string) peers.Inode {
	var st unix.Stat_t
	unix.Stat(path, &st)
	return peers.Inode{Dev: st.Dev, Ino: st.Ino}
}

func TestAPeerThatLiesOrHangsMakesAPushGoInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a := w.add(settings{Idle: true})
	db, err := sql.Open("sqlite3", "file:"+w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, at := range []peers.Op{"", peers.Status, peers.Join, peers.Shut, peers.Close} {
		for _, how := range []string{"hangs", "hangs up", "talks nonsense"} {
			if at == "" && how != "hangs" {
				continue // it lies throughout
			}
			if testenv.Sample(0, 1) == 0 && at != "" && rand.IntN(2) == 0 {
				continue
			}
			l := &liar{path: w.path, file: inodeOf(w.path), at: at, how: how, met: make(chan struct{}, 1)}
			e, err := peers.Listen(l)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec("INSERT INTO acked VALUES('held')"); err != nil { // its connection is open, and stays so
				t.Fatal(err)
			}
			a.inPlace("(together.test)") // this process, or one that another test is just forking
			if at != "" && len(l.met) == 0 {
				t.Errorf("it was never asked to %s", at)
			}
			a.sees()
			e.Close()
		}
	}
}

// echo answers each question with itself.
type echo struct{}

func (echo) Serve(c *peers.Conn, first peers.Message) {
	for m, err := first, error(nil); err == nil; m, err = c.Receive(time.Minute) {
		c.Send(m)
	}
}

func TestWhoTalksNonsenseTakesNoPart(t *testing.T) {
	t.Parallel()
	e, err := peers.Listen(echo{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	w := newWorld(t, "WAL")
	a, b := w.add(settings{Idle: true}), w.add(settings{Idle: true})
	if out := a.mustPush(order{Method: swapper.MethodRename}); len(out.Report.Peers) != 1 || out.Report.Peers[0].PID != b.Process.Pid {
		t.Errorf("the peers: %+v", out.Report.Peers)
	}
}
