package together

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

var journals = []string{"WAL", "DELETE"}

func TestAPushByRenameSpansAllPeers(t *testing.T) {
	t.Parallel()
	for i, journal := range journals {
		for n := 2; n <= 3; n++ {
			if testenv.Sample(0, 1) == 0 && n != 3-i {
				continue
			}
			t.Run(fmt.Sprint(journal, "/", n), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, journal)
				for range n {
					w.add(settings{Idle: true})
				}
				for i := range n {
					c := w.all[i]
					out := c.mustPush(order{Method: swapper.MethodRename})
					if out.Report.Method != swapper.MethodRename || len(out.Report.Peers) != n-1 {
						t.Fatalf("%+v", out.Report)
					}
					for _, p := range out.Report.Peers {
						if p.PID == 0 || p.PID == c.Process.Pid || p.Program == "" || p.Connections == 0 || p.Pause <= 0 || p.Pause > time.Second || p.Generation != uint64(i+2) || p.Problem != "" {
							t.Errorf("of a peer it says %+v", p)
						}
					}
				}
				w.end()
			})
		}
	}
}

func TestAPeerThatHoldsIsNamed(t *testing.T) {
	t.Parallel()
	for _, journal := range journals {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, journal)
			a, b := w.add(settings{Idle: true}), w.add(settings{Idle: true})
			if err := b.tell("rows"); err != "<nil>" {
				t.Fatal(err)
			}
			var known []driver.Peer
			if err := json.Unmarshal([]byte(a.tell("peers")), &known); err != nil || len(known) != 1 || known[0].PID != b.Process.Pid || known[0].Problem != "" ||
				known[0].Stats == nil || known[0].Stats.Held != 1 || len(known[0].Holders) != 1 || known[0].Holders[0].Query != "SELECT stamp FROM items" {
				t.Errorf("its peers: %+v, %v", known, err)
			}
			out, _ := a.push(order{Method: swapper.MethodRename, Timeout: 300 * time.Millisecond})
			pid := fmt.Sprintf("in process %d (", b.Process.Pid)
			if !out.Busy || strings.Count(out.Err, pid) != 1 || !strings.Contains(out.Err, "SELECT stamp FROM items") {
				t.Errorf("the push: %s; want %s", out.Err, pid)
			}
			w.agree()
			if out := a.mustPush(order{Method: swapper.MethodRename, Timeout: 300 * time.Millisecond, Force: true}); len(out.Report.Peers) != 1 {
				t.Errorf("by force: %+v", out.Report)
			}
			b.tell("close")
			// And one that ends is waited for.
			if err := b.tell("begin"); err != "<nil>" {
				t.Fatal(err)
			}
			stamp := a.begin(order{Method: swapper.MethodRename, Timeout: 20 * time.Second})
			time.Sleep(100 * time.Millisecond) // some attempts; that they were is not relied upon
			if err := b.tell("commit"); err != "<nil>" {
				t.Fatal(err)
			}
			if out := a.ends(stamp); out.Err != "" {
				t.Error(out.Err)
			}
			w.agree()
			w.end()
		})
	}
}
