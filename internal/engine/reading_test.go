package engine_test

import (
	"fmt"
	"sync"
	"testing"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
)

// TestReadingLeavesItsKeysAlone: nats.go changes the list that it is given, and what is not
// answered is asked again.
func TestReadingLeavesItsKeysAlone(t *testing.T) {
	s := enginetest.Start(t)
	e := enginetest.Connect(t, engine.Config{URL: s.ClientURL()})
	fleet, err := e.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{"a", "b.*"}
	if _, err := e.ReadUpTo(t.Context(), fleet, 0, keys...); err != nil {
		t.Fatal(err)
	}
	if keys[0] != "a" || keys[1] != "b.*" {
		t.Errorf("the keys are %q now", keys)
	}
}

// A key that is written anew while the bucket is read must not be missed: a collection that
// missed a publisher's would remove what it is about to name.
func TestAReadMissesNoKeyThatIsWrittenMeanwhile(t *testing.T) {
	e := enginetest.Connect(t, engine.Config{URL: enginetest.Start(t).ClientURL()})
	nodes, err := e.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const keys = 500
	write := func(i int) error {
		_, err := nodes.Put(t.Context(), fmt.Sprint("node.", i%keys), make([]byte, 1000))
		return err
	}
	for i := range keys {
		if err := write(i); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for w := range 4 {
		writing.Go(func() {
			for i := w * keys / 4; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := write(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 20 {
		if all, err := e.ReadUpTo(t.Context(), nodes, 0, "node.*"); err != nil || len(all) != keys {
			t.Errorf("%d keys of %d are read: %v", len(all), keys, err)
		}
	}
	close(stop)
	writing.Wait()
}
