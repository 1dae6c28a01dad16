package swapper

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/rs/zerolog"

	"hotswap/driver"
)

func TestAPushSaysWhichOtherProcessesSwappedAndWhichHaveNotDone(t *testing.T) {
	db, release, err := driver.Manage(filepath.Join(t.TempDir(), "live.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	web, worker, hung := driver.Peer{PID: 7, Program: "web"}, driver.Peer{PID: 8, Program: "worker"}, driver.Peer{PID: 9, Program: "job", Problem: "has an OnSwap callback that has not returned after 30s"}
	for _, test := range []struct {
		report Report
		want   []string
	}{
		{Report{}, nil},
		{Report{Peers: []driver.Peer{web, worker}}, []string{"swapped in process 7 (web), process 8 (worker), too"}},
		{Report{Peers: []driver.Peer{web, web, web, web}}, []string{"swapped in 4 other processes, too"}},
		{Report{Peers: []driver.Peer{hung, web}}, []string{"swapped in process 7 (web), too", "process 9 (job) has an OnSwap callback that has not returned after 30s"}},
		{Report{OnSwapRuns: true}, []string{"an OnSwap callback of the program has not returned: the database can't be swapped again until it does"}},
	} {
		var got []string
		p := &push{report: test.report, events: newEvents(db, zerolog.Nop(), func(e Event) { got = append(got, e.Text) })}
		p.sayWhoSwapped()
		p.events.end()
		if !slices.Equal(got, test.want) {
			t.Errorf("%+v: it says %q", test.report, got)
		}
	}
}

func TestAStepThatIsTriedAgainIsSaidOnce(t *testing.T) {
	db, release, err := driver.Manage(filepath.Join(t.TempDir(), "live.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	var got []Step
	events := newEvents(db, zerolog.Nop(), func(e Event) { got = append(got, e.Step) })
	for range 9 {
		events.plain(StepGateClosed)
	}
	events.plain(StepGateOpen)
	events.plain(StepGateClosed)
	events.end()
	if want := []Step{StepGateClosed, StepGateOpen, StepGateClosed}; !slices.Equal(got, want) {
		t.Errorf("it says %q", got)
	}
}
