package fleet

import (
	"errors"
	"testing"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// What a node writes down while the engine is lost may be on its way, and the next engine gets it.
func TestWhatWasSaidToTheEngineBeforeIsNotBelieved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, nil)
	w.publish("catalog")
	w.publish("catalog")
	w.rollout(3, rollout.Plan{})
	a.has(3)
	late := records.Having{Version: 3, Tag: w.tag(3)}
	a.stop()
	w.another("")
	if _, err := w.recs.PutHaving(t.Context(), "a", "catalog", late, records.Entry{}); err != nil {
		t.Fatal(err)
	}
	w.live(a) // as catalog@1
	w.rollout(1, rollout.Plan{})
	a.start()
	if done := w.phase(rollout.Done, 1); len(done.Failed) > 0 {
		t.Errorf("%+v", done)
	}
}

// What is on its way to an engine that is lost does not reach the next one, which may have collected
// a version of that number by the time that somebody reads it.
func TestWhatIsWrittenDownFollowsWhatWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.program("a", w.publish("catalog"), nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	late := records.Having{Version: 3, Tag: "x"}
	eventually(t, "it has written down what it has", func() bool {
		is, _, err := w.recs.GetHaving(t.Context(), "a", "catalog")
		return err == nil && is != nil && is.Version == 1
	})
	if _, err := w.recs.PutHaving(t.Context(), "a", "catalog", late, records.Entry{Revision: 7}); !errors.Is(err, records.ErrChanged) {
		t.Errorf("what follows something else is taken: %v", err)
	}
	// Another program of that name has said something: it is said anew.
	_, at, err := w.recs.GetHaving(t.Context(), "a", "catalog")
	if err == nil {
		_, err = w.recs.PutHaving(t.Context(), "a", "catalog", late, at)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	a.has(2)
	eventually(t, "it has written it down again", func() bool {
		is, _, err := w.recs.GetHaving(t.Context(), "a", "catalog")
		return err == nil && is != nil && is.Version == 2
	})
}
