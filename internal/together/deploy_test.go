package together

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// A release is deployed: the new one starts beside the old one, both work on the file, a
// database comes with the new release's migration, and the old one ends. docs/databases.md
// has this as a recipe.
func TestANewReleaseStartsBesideTheOldOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	old := w.add(settings{})
	next := w.add(settings{})
	out := next.mustPush(order{Method: swapper.MethodRename, Migrate: true})
	if len(out.Report.Peers) != 1 || out.Report.Peers[0].PID != old.Process.Pid {
		t.Errorf("%+v", out.Report)
	}
	for _, c := range w.all {
		testenv.Until(t, "it uses what the migration has made", func() bool { return c.tell("exec INSERT INTO migrated VALUES(1)") == "<nil>" })
	}
	if err := old.End(); err != nil {
		t.Error(err)
	}
	w.all = w.all[1:]
	if out := next.mustPush(order{Method: swapper.MethodRename, Migrate: true}); len(out.Report.Peers) != 0 {
		t.Errorf("with the old one gone: %+v", out.Report.Peers)
	}
	w.end()
	w.check()
}

// Two containers of one pod: one network namespace, other process and mount namespaces. A
// pid of the one means nothing in the other.
func TestContainersOfOnePodArePeers(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "unshare takes root")
	}
	contained := []string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if out, err := exec.Command(contained[0], append(contained[1:], "true")...).CombinedOutput(); err != nil {
		testenv.Skip(t, "unshare: %v: %s", err, out)
	}
	w := newWorld(t, "WAL")
	a, b := w.startIn(settings{Idle: true}, append(contained, os.Args[0])...), w.startIn(settings{Idle: true}, append(contained, os.Args[0])...)
	w.all = []*child{a, b}
	for i, c := range []*child{a, b, a} {
		out, stamp := c.push(order{Method: swapper.MethodRename, Timeout: 20 * time.Second})
		if out.Err != "" || len(out.Report.Peers) != 1 {
			t.Fatalf("the push of %s: %s, %+v", stamp, out.Err, out.Report)
		}
		if p := out.Report.Peers[0]; p.PID != 0 || p.Program != "together.test" || p.Connections == 0 || p.Problem != "" {
			t.Errorf("of the peer it says %+v", p)
		}
		a.isTold(i + 1)
		b.isTold(i + 1)
		a.sees()
		b.sees()
	}
	w.end()
}
