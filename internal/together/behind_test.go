package together

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// moveAway is move, of somebody who moves the old one away first.
func (w *world) moveAway() {
	w.t.Helper()
	stamp := w.make()
	if err := os.Rename(w.path, w.version(w.live)); err != nil {
		w.t.Fatal(err)
	}
	w.put(stamp)
}

// TestWhoHasNothingOpenWaitsForTheOthersToLeaveTheOldFile: SQLite would take that one's log,
// which is at the path still, for the new file's.
func TestWhoHasNothingOpenWaitsForTheOthersToLeaveTheOldFile(t *testing.T) {
	t.Parallel()
	for _, away := range []bool{false, true} {
		t.Run(fmt.Sprint("away=", away), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "WAL")
			a, b := w.add(settings{Idle: true, Moved: true}), w.add(settings{Idle: true, Moved: true})
			if got := a.tell("idle"); got != "<nil>" {
				t.Fatal(got)
			}
			if got := b.tell("begin"); got != "<nil>" {
				t.Fatal(got)
			}
			was := w.live
			if away { // mv live old; mv new live
				w.moveAway()
			} else {
				w.move()
			}
			for range 3 {
				if got := a.tell("exec INSERT INTO acked VALUES('held')"); got == "<nil>" {
					t.Fatal("one writes into the new file while a transaction on the old one is open in the other")
				}
			}
			if got := b.tell("commit"); got != "<nil>" {
				t.Fatal(got)
			}
			a.arrives()
			b.arrives()
			w.end()
			if ids, err := readVersion(w.version(was), was); err != nil || len(ids) != 1 {
				t.Errorf("the old one has %v, %v", ids, err)
			}
			if ids, err := readVersion(w.path, w.live); err != nil || len(ids) != 0 {
				t.Errorf("the new one has %v, %v", ids, err)
			}
		})
	}
}

func TestWhoIsStartedWaitsForTheOthersToLeaveTheOldFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	b := w.add(settings{Idle: true, Moved: true})
	if got := b.tell("begin"); got != "<nil>" {
		t.Fatal(got)
	}
	was := w.live
	w.move()
	started := w.start(settings{Idle: true, Moved: true}) // which opens it
	if got := strings.Fields(started.tell("look"))[0]; got != w.live {
		t.Errorf("it sees %s", got)
	}
	b.tell("commit") // it was forced
	b.arrives()
	started.End()
	w.end()
	for stamp, path := range map[string]string{was: w.version(was), w.live: w.path} {
		if ids, err := readVersion(path, stamp); err != nil || len(ids) != 0 {
			t.Errorf("%s has %v, %v", stamp, ids, err)
		}
	}
}
