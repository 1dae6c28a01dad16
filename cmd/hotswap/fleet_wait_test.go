package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// TestWhoApprovesAWaveMayWaitForTheEnd, and is not asked to approve it again.
func TestWhoApprovesAWaveMayWaitForTheEnd(t *testing.T) {
	url := enginetest.Start(t).ClientURL()
	e := enginetest.Connect(t, engine.Config{URL: url})
	recs, err := records.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	file := smallDatabase(t)
	if code, _, stderr := onEngine(t, url, "publish", "-q", file, "catalog"); code != 0 {
		t.Fatal(stderr)
	}
	if code, _, stderr := onEngine(t, url, "rollout", "-q", "catalog", "--canary", "1", "--approve"); code != 0 {
		t.Fatal(stderr)
	}
	o, _, err := recs.Order(t.Context(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	p := rollout.Progress{Order: o.ID, Phase: rollout.Awaiting, Waves: [][]string{{"a"}, {"b"}}, Open: 1}
	at, err := recs.SetProgress(t.Context(), "catalog", p, records.Entry{})
	if err != nil {
		t.Fatal(err)
	}
	var controller sync.WaitGroup
	defer controller.Wait()
	controller.Go(func() {
		awaitOnlooker(t, e, recs, func(o *rollout.Order) bool { return o.Approvals == 1 })
		p.Open, p.Phase = 2, rollout.Done
		if _, err := recs.SetProgress(t.Context(), "catalog", p, at); err != nil {
			t.Error(err)
		}
	})
	code, stdout, stderr := onEngine(t, url, "resume", "catalog", "--wait")
	if code != 0 || stdout != "resumed catalog@1\n" || !strings.Contains(stderr, "catalog@1 done") || strings.Contains(stderr, "approve") {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
}

// awaitOnlooker waits until a command looks on at an order that is such.
func awaitOnlooker(t *testing.T, e *engine.Engine, recs *records.Records, such func(*rollout.Order) bool) {
	stream, err := e.JetStream().Stream(t.Context(), "KV_"+engine.FleetBucket)
	for err == nil {
		var o *rollout.Order
		if o, _, err = recs.Order(t.Context(), "catalog"); o != nil && such(o) {
			if info, failed := stream.Info(t.Context()); failed != nil || info.State.Consumers > 0 {
				err = failed
				break
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err != nil {
		t.Error(err)
	}
}

// TestHowAWaitEnds: with exit status 0 only if nobody has failed, and with all that is to be said.
func TestHowAWaitEnds(t *testing.T) {
	t.Parallel()
	waves := [][]string{{"a"}, {"b"}}
	failed := []rollout.Failed{{Node: "b", Why: "no room"}}
	for name, test := range map[string]struct {
		progress rollout.Progress
		code     int
		stderr   string // all of it
	}{
		"done": {rollout.Progress{Phase: rollout.Done, Waves: waves, Open: 2, Silent: []string{"b"}}, 0,
			"catalog@1 done: 1 silent\n"},
		"failed": {rollout.Progress{Phase: rollout.Done, Waves: waves, Open: 2, Failed: failed}, 1,
			"catalog@1 done: 1 failed\nhotswap: 1 node failed (b: no room)\nhotswap: `hotswap fleet resume catalog` has them try again\n"},
		"halted": {rollout.Progress{Phase: rollout.Halted, Waves: waves, Open: 1, Reason: rollout.ByOperator}, 1,
			"hotswap: catalog@1 halted by an operator: wave 1 of 2 is open\nhotswap: `hotswap fleet resume catalog` tries again, and `hotswap fleet rollback catalog` goes back\n"},
		"pinned": {rollout.Progress{Phase: rollout.Preparing, Reason: rollout.AllPinned}, 1,
			"hotswap: catalog@1 preparing: every node that is meant, and answers, is pinned\nhotswap: the order stands: once `hotswap fleet unpin NODE catalog` lets a node follow it, it does\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := enginetest.Start(t).ClientURL()
			e := enginetest.Connect(t, engine.Config{URL: url})
			recs, err := records.Open(t.Context(), e)
			if err != nil {
				t.Fatal(err)
			}
			if code, _, stderr := onEngine(t, url, "publish", "-q", smallDatabase(t), "catalog"); code != 0 {
				t.Fatal(stderr)
			}
			var controller sync.WaitGroup
			defer controller.Wait()
			controller.Go(func() {
				awaitOnlooker(t, e, recs, func(*rollout.Order) bool { return true })
				o, _, err := recs.Order(t.Context(), "catalog")
				if test.progress.Order = o.ID; err == nil {
					_, err = recs.SetProgress(t.Context(), "catalog", test.progress, records.Entry{})
				}
				if err != nil {
					t.Error(err)
				}
			})
			code, _, stderr := onEngine(t, url, "rollout", "catalog", "--wait")
			_, stderr, _ = strings.Cut(stderr, "the order waits for one\n")
			if code != test.code || stderr != test.stderr {
				t.Errorf("%d: %s", code, stderr)
			}
		})
	}
}

// TestAHaltThatIsTakenBackAtOnceDoesNotEndAWait, and is not told after what follows it.
func TestAHaltThatIsTakenBackAtOnceDoesNotEndAWait(t *testing.T) {
	t.Parallel()
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	left := 0
	o := rollout.Order{ID: "x", Channel: "catalog", Version: 2}
	l := onlooker{stdio: &streams{err: stderr}, order: o, leave: func() { left++ }}
	halted, resumed := o.Halt(), o.Halt().Resume()
	waves := [][]string{{"a"}, {"b"}}
	for _, c := range []records.Change{
		{Order: &halted},
		{Progress: &rollout.Progress{Order: "x", Phase: rollout.Halted, Waves: waves, Open: 1, Reason: rollout.ByOperator}},
		{Order: &resumed},
		{Progress: &rollout.Progress{Order: "x", Attempt: 1, Phase: rollout.Swapping, Waves: waves, Open: 1}},
		{Progress: &rollout.Progress{Order: "x", Attempt: 1, Phase: rollout.Done, Waves: waves, Open: 2}},
	} {
		l.tell(c)
	}
	said, err := os.ReadFile(stderr.Name())
	if want := "catalog@2 swapping: wave 1 of 2 is open\ncatalog@2 done\n"; err != nil || string(said) != want {
		t.Errorf("%q: %v", said, err)
	}
	if !l.over || l.ended != nil || left != 1 || l.rest != nil {
		t.Errorf("%+v, left %d times", l, left)
	}
}

func TestAWaitThatIsInterruptedSaysThatTheOrderStands(t *testing.T) {
	url := enginetest.Start(t).ClientURL()
	if code, _, stderr := onEngine(t, url, "publish", "-q", smallDatabase(t), "catalog"); code != 0 {
		t.Fatal(stderr)
	}
	says, stderr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer says.Close()
	ctx, interrupt := context.WithCancelCause(t.Context())
	defer interrupt(nil)
	ended := make(chan int, 1)
	go func() {
		defer stderr.Close()
		ended <- run(ctx, []string{"fleet", "rollout", "catalog", "--wait", "--engine", url}, &streams{in: os.Stdin, out: stderr, err: stderr})
	}()
	var all strings.Builder
	for lines := bufio.NewScanner(says); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "rolling out") {
			interrupt(fmt.Errorf("%w by SIGINT", errInterrupted))
		}
		fmt.Fprintln(&all, lines.Text())
	}
	text := all.String()
	if code := <-ended; code != exitFailed || !strings.Contains(text, "interrupted by SIGINT; the order stands") || !strings.Contains(text, "`hotswap fleet halt catalog` halts it") {
		t.Errorf("%d: %s", code, text)
	}
}
