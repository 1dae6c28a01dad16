package main

import (
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
	stream, err := e.JetStream().Stream(t.Context(), "KV_"+engine.FleetBucket)
	if err != nil {
		t.Fatal(err)
	}
	var controller sync.WaitGroup
	defer controller.Wait()
	controller.Go(func() { // once the command looks on
		for {
			o, _, err := recs.Order(t.Context(), "catalog")
			if err != nil || o.Approvals == 1 {
				if info, err := stream.Info(t.Context()); err != nil || info.State.Consumers > 0 {
					break
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
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
