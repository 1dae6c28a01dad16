package moves

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"hotswap/sockserver"
)

// sound is a history in which all is well: m0001-3 is moved in, p0001-4 pushed
// over that, and m0002-5 moved in once more.
func sound() history {
	const a, m1, p1, m2 = "a0000-2", "m0001-3", "p0001-4", "m0002-5"
	read := func(stamp string, g uint64, at int64) event {
		return event{Who: "r1", Call: callRead, First: g, Last: g, Start: at, End: at + 1, Low: stamp, High: stamp, Rows: rowsOf(stamp)}
	}
	write := func(seq int64, stamp string, g uint64, at int64) event {
		e := read(stamp, g, at)
		e.Who, e.Call, e.Seq = "w1", callWrite, seq
		return e
	}
	swap := func(stamp string, g uint64, at int64) event {
		e := read(stamp, g, at)
		e.Who, e.Call = "swap", callSwap
		return e
	}
	file := func(stamp string, seqs ...int64) contents {
		c := contents{name: "file of " + stamp, stamp: stamp, stamps: []string{stamp}, digest: digestOf(stamp), acks: map[ackID]int{}}
		for _, seq := range seqs {
			c.acks[ackID{"w1", seq}] = 1
		}
		return c
	}
	return history{
		Events: []event{
			read(a, 1, 10), write(1, a, 1, 20),
			read(m1, 2, 110), write(2, m1, 2, 120), write(3, m1, 2, 130),
			read(p1, 3, 210), write(4, p1, 3, 220),
			read(m2, 4, 310), write(5, m2, 4, 320),
			swap(m1, 2, 111), swap(p1, 3, 211), swap(m2, 4, 311),
		},
		Puts: []put{
			{State: stateWhole, Stamp: m1, From: 100, Until: 101},
			{State: stateWhole, Stamp: m2, From: 300, Until: 301},
		},
		Pushes: []push{{Stamp: p1, Outcome: pushDone, Generation: 3, Backup: m1, Start: 200, End: 209}},
		Files:  []contents{file(a, 1), file(m1, 2, 3), file(p1, 4), file(m2, 5)},
	}
}

// TestTheCheckerFindsWhatIsWrongWithAHistory feeds it histories with one thing
// wrong each.
func TestTheCheckerFindsWhatIsWrongWithAHistory(t *testing.T) {
	for _, c := range []struct {
		name  string
		wrong func(h *history)
		want  []fault
	}{
		{"nothing", func(h *history) {}, nil},
		{"a write is in no file", func(h *history) { delete(h.Files[1].acks, ackID{"w1", 3}) }, []fault{faultLost}},
		{"a write is in another version's file", func(h *history) {
			delete(h.Files[1].acks, ackID{"w1", 3})
			h.Files[3].acks[ackID{"w1", 3}] = 1
		}, []fault{faultLost}},
		{"the file that writes went to is gone", func(h *history) { h.Files = slices.Delete(h.Files, 0, 1) }, []fault{faultLost}},
		{"of two files of one version each has some of the writes", func(h *history) {
			half := h.Files[1]
			half.acks = map[ackID]int{{"w1", 3}: 1}
			h.Files[1].acks = map[ackID]int{{"w1", 2}: 1}
			h.Files = append(h.Files, half)
		}, []fault{faultLost}},
		{"a write is in two versions' files", func(h *history) { h.Files[3].acks[ackID{"w1", 3}] = 1 }, []fault{faultDoubled}},
		{"a write is in its file twice", func(h *history) { h.Files[3].acks[ackID{"w1", 5}] = 2 }, []fault{faultDoubled}},
		{"nobody wrote it", func(h *history) { h.Files[3].acks[ackID{"w1", 99}] = 1 }, []fault{faultUnknown}},
		{"a file has another version's rows", func(h *history) { h.Files[3].stamps = []string{"m0002-5", "p0001-4"} }, []fault{faultMixed}},
		{"a file lacks an item", func(h *history) { h.Files[3].digest = digestOf("m0002-4") }, []fault{faultMixed}},
		{"a file is damaged", func(h *history) { h.Files[3].damage = "database disk image is malformed" }, []fault{faultCorrupt}},
		{"a read sees two versions", func(h *history) { h.Events[5].Low = "m0001-3" }, []fault{faultMixed}},
		{"nested queries see two versions, and nobody pushes in place", func(h *history) {
			h.Events[5].Low, h.Events[5].Call = "m0001-3", callNested
		}, []fault{faultMixed}},
		{"nested queries see two versions while a push goes in place", func(h *history) {
			h.Events[5].Low, h.Events[5].Call, h.Events[5].Start = "m0001-3", callNested, 205
			h.Pushes[0].InPlace = true
		}, nil},
		{"a read sees half of the items", func(h *history) { h.Events[5].Rows = 2 }, []fault{faultMixed}},
		{"a read sees items that are not the version's", func(h *history) { h.Events[5].Bad = 1 }, []fault{faultMixed}},
		{"a read sees nothing", func(h *history) { h.Events[7].Low, h.Events[7].High, h.Events[7].Rows = "", "", 0 }, []fault{faultHidden}},
		{"a file that nobody put there", func(h *history) {
			h.Files = append(h.Files, contents{name: "other", bare: true, damage: "no such table: item"})
		}, []fault{faultConjured}},
		{"a file's items are hidden", func(h *history) {
			h.Files[3].stamp, h.Files[3].stamps, h.Files[3].acks = "", nil, map[ackID]int{}
		}, []fault{faultHidden, faultVanished, faultLost}},
		{"a read sees the old version after the new generation began", func(h *history) {
			h.Events[7].Low, h.Events[7].High, h.Events[7].Rows = "m0001-3", "m0001-3", 3
			h.Events[7].First = 3
		}, []fault{faultStale}},
		{"the new version is read under the old number", func(h *history) { h.Events[7].First, h.Events[7].Last = 3, 3 }, []fault{faultUnnoted}},
		{"a version of a push in place is read under the old number", func(h *history) {
			h.Events[5].First, h.Events[5].Last = 2, 2
			h.Pushes[0].InPlace = true
		}, nil},
		{"OnSwap is not called", func(h *history) { h.Events = slices.Delete(h.Events, 9, 10) }, []fault{faultUntold}},
		{"a push replaced a file that was not served yet", func(h *history) { h.Pushes[0].Backup = "m0002-5" }, []fault{faultSwallowed}},
		{"a refused push is read", func(h *history) { h.Pushes[0].Outcome, h.Pushes[0].Problem = pushRefused, sockserver.ProblemBusy }, []fault{faultGhost}},
		{"a push is refused for no reason", func(h *history) {
			h.Pushes = append(h.Pushes, push{Stamp: "p0002-9", Outcome: pushRefused, Problem: sockserver.ProblemInternal, Start: 230, End: 240})
		}, []fault{faultFailed}},
		{"a push is refused while nothing whole is there", func(h *history) {
			h.Pushes = append(h.Pushes, push{Stamp: "p0002-9", Outcome: pushRefused, Problem: sockserver.ProblemInternal, Start: 230, End: 240})
			h.Puts = slices.Insert(h.Puts, 1, put{State: stateBroken, From: 235, Until: 236})
		}, nil},
		{"a file that was moved in is nowhere", func(h *history) {
			h.Puts = append(h.Puts, put{State: stateWhole, Stamp: "m0003-7", From: 400, Until: 401})
		}, []fault{faultVanished}},
		{"a pushed file is nowhere", func(h *history) {
			h.Pushes = append(h.Pushes, push{Stamp: "p0002-9", Outcome: pushDone, Generation: 5, Start: 400, End: 409})
		}, []fault{faultVanished}},
		{"a file that is not whole was written to", func(h *history) { h.Broken = []broken{{"mv empty live", "4096 bytes"}} }, []fault{faultTouched}},
		{"a call fails", func(h *history) { h.Events[0].Fail = failOther }, []fault{faultFailed}},
		{"a call is told that the file is replaced, and it is whole", func(h *history) { h.Events[0].Fail = failReplaced }, []fault{faultFailed}},
		{"a call is told that the file is replaced, and it is not", func(h *history) {
			h.Events[2].Fail = failReplaced
			h.Puts = slices.Insert(h.Puts, 0, put{State: stateAbsent, From: 90, Until: 91})
			h.Puts[1].From, h.Puts[1].Until = 115, 116
		}, nil},
		{"a call that took no time is interrupted", func(h *history) { h.Events[0].Fail = failForced }, []fault{faultFailed}},
		{"a long one that took no time is interrupted", func(h *history) {
			h.Events = append(h.Events, event{Who: "l1", Call: callLong, Fail: failForced, First: 3, Last: 3, Start: 304, End: 305})
		}, []fault{faultFailed}},
		{"a long one that took no time is interrupted for a file that has waited", func(h *history) {
			h.Puts[1].From -= 2 * patience
			h.Events = append(h.Events, event{Who: "l1", Call: callLong, Fail: failForced, First: 3, Last: 3, Start: 304, End: 305})
		}, nil},
		{"a write is told that the file was moved away, and it was not", func(h *history) { h.Events[4].Fail = failMoved }, []fault{faultFailed}},
		{"a write to a file that was moved away", func(h *history) {
			h.Events[1].Fail, h.Events[1].Start, h.Events[1].End = failMoved, 102, 103
		}, nil},
		{"the program dies", func(h *history) { h.Crash = "signal: bus error" }, []fault{faultCrash}},
		{"the last file is not served", func(h *history) { h.Stuck = []string{"m0002-5"} }, []fault{faultStuck}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := sound()
			c.wrong(&h)
			v := check(h)
			got := slices.Sorted(maps.Keys(v.count()))
			if slices.Sort(c.want); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v:\n%s", got, c.want, v.String())
			}
		})
	}
}

func TestThePlanFollowsFromTheSeed(t *testing.T) {
	if a, b := plan(7, 50), plan(7, 50); !reflect.DeepEqual(a, b) {
		t.Error("two plans of one seed differ")
	}
	if a, b := plan(7, 50), plan(8, 50); reflect.DeepEqual(a, b) {
		t.Error("two seeds have one plan")
	}
}
