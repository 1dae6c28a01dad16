package sockserver

import (
	"net/url"
	"testing"
	"time"

	"hotswap/internal/extents"
)

func TestHeldSnapshotsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDifference(t, Config{MaxPulls: 2, StallTimeout: time.Hour})
	one, _ := d.held(), d.held()
	_, _, err := d.far.hold(t.Context(), url.Values{paramPath: {TheDatabase}}, extents.NewLayout(4096))
	assertProblem(t, err, ProblemBusy)
	one.release(t.Context())
	d.held()
	if err := d.server.Close(); err != nil {
		t.Fatal(err)
	}
	d.nothingHeld()
}

func TestAHeldSnapshotThatNobodyAsksForIsReleased(t *testing.T) {
	t.Parallel()
	d := newDifference(t, Config{}, func(a *api) { a.held.patience = 20 * time.Millisecond })
	h := d.held()
	d.nothingHeld()
	_, err := d.post("/v1/held/patch", url.Values{paramHeld: {h.id}}, nil)
	assertProblem(t, err, ProblemNotHeld)
}

// TestAHeldSnapshotIsReleasedWithItsClient: one that is killed ends its connection, and
// asks for nothing more.
func TestAHeldSnapshotIsReleasedWithItsClient(t *testing.T) {
	d := newDifference(t, Config{StallTimeout: time.Hour})
	d.held().close()
	d.nothingHeld()

	// Not before the request that has it ends: a push, say, by another connection.
	h := d.held()
	taken, err := d.server.api.held.take(h.id)
	if err != nil {
		t.Fatal(err)
	}
	h.close()
	<-taken.gone.Done()
	if n, err := taken.ReadAt(make([]byte, 16), 0); n != 16 || err != nil {
		t.Errorf("it is gone: %d, %v", n, err)
	}
	d.server.api.held.put(taken)
	d.nothingHeld()
}
