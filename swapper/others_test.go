package swapper_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"hotswap/swapper"
)

const readStamps = "SELECT group_concat(DISTINCT stamp) FROM items"

// aloneIn makes the fixture's service in a journal mode, and its trail.
func aloneIn(t *testing.T, mode string) (*service, *trail) {
	s := start(t, t.TempDir(), "&_journal="+mode)
	tr := newTrail(t, s.path)
	s.writes(tr, "here")
	return s, tr
}

// TestAnotherProcessAndAPushKeepTheirOrder is the matrix of what another process
// may have done with the live file when a push comes. Whatever it is, its
// acknowledged writes are in the database that is replaced, and it reads and
// writes the new one next, with the connection that it has.
func TestAnotherProcessAndAPushKeepTheirOrder(t *testing.T) {
	t.Parallel()
	uses := []struct {
		name string
		use  func(o *other, tr *trail)
	}{
		{"it has opened the file and read nothing", func(o *other, tr *trail) { o.must("SELECT 1") }},
		{"it has read and is idle", func(o *other, tr *trail) { o.must(readStamps) }},
		{"it has written and is idle", func(o *other, tr *trail) {
			o.must("SELECT 1")
			o.writes(tr, "not checkpointed")
			o.writes(tr, "another one")
		}},
	}
	programs := map[string]func(t *testing.T, path string) *other{
		"driver": func(t *testing.T, path string) *other { return startOther(t, "file:"+path) },
		"shell":  startShell,
	}
	for _, mode := range []string{"WAL", "DELETE"} {
		for _, method := range []swapper.Method{swapper.MethodAuto, swapper.MethodInPlace, swapper.MethodRename} {
			for name, program := range programs {
				for _, use := range uses {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", mode, method, name, use.name), func(t *testing.T) {
						t.Parallel()
						s, tr := aloneIn(t, mode)
						o := program(t, s.path)
						use.use(o, tr)
						pid := "process " + strconv.Itoa(o.Process.Pid)
						if method == swapper.MethodRename {
							s.refuses(swapper.PushOptions{Method: method}, swapper.ErrBusy, pid, "push in place (--method=in-place)")
							o.writes(tr, "after the refusal")
							tr.ends(s, o)
							return
						}
						r := s.mustPush(source(t, "new"), swapper.PushOptions{Method: method, Backup: true})
						tr.keep(r.BackupPath, "live")
						if r.Method != swapper.MethodInPlace {
							t.Errorf("replaced by %s", r.Method)
						}
						if method == swapper.MethodAuto && !strings.Contains(r.InPlaceBecause, pid) {
							t.Errorf("in place because %s: the other is %s", r.InPlaceBecause, pid)
						}
						if got := o.must(readStamps); got != "new" {
							t.Errorf("the other process reads %s", got)
						}
						o.writes(tr, "elsewhere after the push")
						s.writes(tr, "here after the push")
						tr.ends(s, o)
					})
				}
			}
		}
	}
}

// TestAnotherProcessReadsOnWhileTheContentIsReplaced stops a SELECT half way. In
// WAL mode the push goes on and the reader's rows stay the old ones to the end;
// with a rollback journal nobody can commit while it reads, so the push waits.
func TestAnotherProcessReadsOnWhileTheContentIsReplaced(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			s, tr := aloneIn(t, mode)
			o := startOther(t, "file:"+s.path)
			if got := o.must("open SELECT stamp FROM items"); got != "live" {
				t.Fatal(got)
			}
			readOn := func() {
				rest := strings.Split(o.must("rest"), ",")
				if len(rest) != 200 || slices.ContainsFunc(rest, func(s string) bool { return s != "live" }) {
					t.Errorf("the reader's other %d rows are %v", len(rest), rest)
				}
			}
			if mode == "WAL" {
				r := s.mustPush(source(t, "new"), swapper.PushOptions{Backup: true})
				tr.keep(r.BackupPath, "live")
				if s.stamp() != "new" {
					t.Errorf("the service reads %s", s.stamp())
				}
				readOn()
			} else {
				s.refuses(swapper.PushOptions{Timeout: 200 * time.Millisecond}, swapper.ErrBusy, "process "+strconv.Itoa(o.Process.Pid))
				r := s.pushWhile(tr, readOn)
				if r.Attempts < 1 {
					t.Errorf("%+v", r)
				}
			}
			if got := o.must(readStamps); got != "new" {
				t.Errorf("the other process reads %s", got)
			}
			o.writes(tr, "elsewhere after the push")
			tr.ends(s, o)
		})
	}
}

// pushWhile pushes over what is in its way, and ends that once it has been: at
// the second time that the push tries to get the lock.
func (s *service) pushWhile(tr *trail, end func()) swapper.Report {
	s.t.Helper()
	inTheWay := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-inTheWay
		end()
	}()
	tries := 0
	r := s.mustPush(source(s.t, "new"), swapper.PushOptions{Backup: true, Notify: func(e swapper.Event) {
		if e.Step == swapper.StepWritesWait || e.Step == swapper.StepClosed {
			if tries++; tries == 2 {
				close(inTheWay)
			}
		}
	}})
	<-ended
	tr.keep(r.BackupPath, "live")
	return r
}

// TestAPushWaitsForAnotherProcessesTransaction ends one with COMMIT and one with
// ROLLBACK in the midst of the push. That one which does not end refuses the
// push by name is TestABusyWriterInAnotherProcessRefusesThePushByName.
func TestAPushWaitsForAnotherProcessesTransaction(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		for _, end := range []string{"COMMIT", "ROLLBACK"} {
			t.Run(mode+"/"+end, func(t *testing.T) {
				s, tr := aloneIn(t, mode)
				o := startOther(t, "file:"+s.path)
				o.must("BEGIN IMMEDIATE")
				stamp := o.must(write("in the transaction"))
				r := s.pushWhile(tr, func() { o.must(end) })
				if end == "COMMIT" {
					tr.acknowledged("in the transaction", stamp)
				}
				if r.Method != swapper.MethodInPlace || stamp != "live" {
					t.Errorf("%+v; the transaction was in %s", r, stamp)
				}
				if got := o.must(readStamps); got != "new" {
					t.Errorf("the other process reads %s", got)
				}
				o.writes(tr, "elsewhere after the push")
				tr.ends(s, o)
			})
		}
	}
}

func TestATransactionThatAnotherProcessLeavesOpenRefusesARename(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			s, tr := aloneIn(t, mode)
			o := startShell(t, s.path)
			o.must("BEGIN IMMEDIATE; SELECT 1")
			stamp := o.must(write("in the transaction"))
			for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace, swapper.MethodAuto} {
				s.refuses(swapper.PushOptions{Method: method, Timeout: 200 * time.Millisecond}, swapper.ErrBusy,
					fmt.Sprintf("process %d (sqlite3)", o.Process.Pid))
			}
			o.must("COMMIT; SELECT 1")
			tr.acknowledged("in the transaction", stamp)
			tr.ends(s, o)
		})
	}
}

// TestAProcessThatIsKilledWithItsWALLosesNothing: nobody has the file open any
// more, so it goes by rename, and what was only in the WAL is in the old file.
func TestAProcessThatIsKilledWithItsWALLosesNothing(t *testing.T) {
	t.Parallel()
	s, tr := aloneIn(t, "WAL")
	s.pool.SetMaxIdleConns(0) // the service's own last close would checkpoint it
	o := startOther(t, "file:"+s.path)
	o.writes(tr, "elsewhere")
	o.Process.Kill()
	o.End()
	if info, err := os.Stat(s.path + "-wal"); err != nil || info.Size() == 0 {
		t.Fatalf("it has left no WAL: %v", err)
	}
	r := s.mustPush(source(t, "new"), swapper.PushOptions{Backup: true})
	tr.keep(r.BackupPath, "live")
	if r.Method != swapper.MethodRename {
		t.Errorf("%+v", r)
	}
	tr.ends(s)
}
