package together

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// TestPeersSwapTogetherOverARemovedFile, whose backup has what each of them wrote.
func TestPeersSwapTogetherOverARemovedFile(t *testing.T) {
	t.Parallel()
	contained := []string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}
	for name, command := range map[string][]string{"one namespace": nil, "another namespace": contained} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if command != nil {
				if os.Geteuid() != 0 {
					testenv.Skip(t, "unshare takes root")
				}
				if out, err := exec.Command(command[0], append(command[1:], "true")...).CombinedOutput(); err != nil {
					testenv.Skip(t, "unshare: %v: %s", err, out)
				}
			}
			w := newWorld(t, "WAL")
			a := w.startIn(settings{Idle: true}, append(command, os.Args[0])...) // which can't see the other one
			b := w.add(settings{Idle: true})
			w.all = []*child{a, b}
			a.sees()
			b.sees()
			if err := os.Remove(w.path); err != nil {
				t.Fatal(err)
			}
			if got := b.tell("exec INSERT INTO acked VALUES('in none')"); got != "<nil>" {
				t.Fatal(got)
			}
			was := w.live
			out, stamp := a.push(order{Method: swapper.MethodRename})
			if out.Err != "" || len(out.Report.Peers) != 1 || out.Report.Peers[0].Problem != "" {
				t.Fatalf("the push of %s: %s, %+v", stamp, out.Err, out.Report)
			}
			a.isTold(1)
			b.isTold(1)
			if ids, err := readVersion(w.version(was), was); err != nil || !slices.Contains(ids, "in none") || len(ids) != 3 {
				t.Errorf("the backup has %v, %v", ids, err)
			}
			b.sees()
			a.sees()
			w.end()
		})
	}
}

// TestAPushOverAFileThatOnlyAPeerHasOpenIsRefused: the peer's connections hold what there is
// of it, and it is they that must be closed.
func TestAPushOverAFileThatOnlyAPeerHasOpenIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a, b := w.add(settings{Idle: true}), w.add(settings{Idle: true})
	if got := a.tell("idle"); got != "<nil>" {
		t.Fatal(got)
	}
	if err := os.Remove(w.path); err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		if out, _ := a.push(order{DryRun: dry, NoBackup: true}); !out.Busy {
			t.Errorf("%+v", out)
		}
	}
	if out, _ := b.push(order{}); out.Err != "" {
		t.Error(out.Err)
	}
	a.sees()
	b.sees()
	w.end()
}
