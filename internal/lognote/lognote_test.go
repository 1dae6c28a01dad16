package lognote

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

type blocking struct {
	entered chan struct{}
	leave   chan struct{}
	bytes.Buffer
}

func (b *blocking) Write(p []byte) (int, error) {
	select {
	case b.entered <- struct{}{}:
	default:
	}
	<-b.leave
	return b.Buffer.Write(p)
}

type written struct {
	N       int
	Dropped int `json:"lines_dropped"`
	Message string
}

func decode(t *testing.T, log *bytes.Buffer) (all []written) {
	t.Helper()
	for text := range bytes.Lines(log.Bytes()) {
		var w written
		if err := json.Unmarshal(text, &w); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		all = append(all, w)
	}
	return all
}

func TestNobodyWaitsForAWriterThatIsStuckAndTheNextLineSaysWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &blocking{entered: make(chan struct{}, 1), leave: make(chan struct{})}
		log := zerolog.New(w)
		var q queue
		send := func(n int) { q.send(line{log.Info().Int("n", n), "line", time.Now()}) }
		send(0)
		<-w.entered
		time.Sleep(2 * stuckAfter)
		for n := range room + 40 {
			send(1 + n)
		}
		if q.flush(stuckAfter) {
			t.Error("a stuck writer was flushed")
		}
		close(w.leave)
		if !q.flush(time.Minute) {
			t.Error("not flushed")
		}
		send(room + 41)
		q.flush(time.Minute)
		synctest.Wait()
		all := decode(t, &w.Buffer)
		if len(all) != room+2 {
			t.Fatalf("%d lines were written", len(all))
		}
		for i, line := range all[:room+1] {
			if line.N != i || line.Dropped != 0 {
				t.Fatalf("line %d is %+v", i, line)
			}
		}
		if last := all[room+1]; last.N != room+41 || last.Dropped != 40 {
			t.Errorf("the next line is %+v", last)
		}
	})
}

func TestNoLineOfAWriterThatGoesOnIsLostAndTheOrderStays(t *testing.T) {
	var log bytes.Buffer
	logger := zerolog.New(&log)
	const senders, each = 8, 2000
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for n := range each {
				Send(logger.Info().Int("n", n), fmt.Sprint(s))
			}
		})
	}
	all.Wait()
	if !Flush(time.Minute) {
		t.Fatal("not flushed")
	}
	next := map[string]int{}
	for _, line := range decode(t, &log) {
		if line.N != next[line.Message] || line.Dropped != 0 {
			t.Fatalf("sender %s: got %+v, want line %d", line.Message, line, next[line.Message])
		}
		next[line.Message]++
	}
	if len(next) != senders || next["0"] != each {
		t.Errorf("got %v", next)
	}
}

func TestLineThatWasWrittenLateSaysWhenItHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &blocking{entered: make(chan struct{}, 1), leave: make(chan struct{})}
		log := zerolog.New(w)
		var q queue
		q.send(line{log.Info(), "first", time.Now()})
		<-w.entered
		happened := time.Now()
		q.send(line{log.Info(), "second", happened})
		time.Sleep(time.Hour)
		close(w.leave)
		q.flush(time.Minute)
		synctest.Wait()
		if !bytes.Contains(w.Bytes(), []byte(`"happened":"`+happened.Format(zerolog.TimeFieldFormat))) {
			t.Errorf("got %s", w.Bytes())
		}
	})
}

type panicking struct{}

func (panicking) Write([]byte) (int, error) { panic("the writer") }

func TestWriterThatPanicsCostsItsLineOnly(t *testing.T) {
	var log bytes.Buffer
	bad, good := zerolog.New(panicking{}), zerolog.New(&log)
	Send(bad.Info(), "lost")
	Send(good.Info(), "kept")
	off := zerolog.Nop()
	Send(off.Info(), "nowhere")
	Send(new(zerolog.Logger).Info(), "nowhere")
	fmt.Fprintln(Writer(good), "written")
	if !Flush(time.Minute) {
		t.Fatal("not flushed")
	}
	if all := decode(t, &log); len(all) != 2 || all[0].Message != "kept" || all[1].Message != "written" {
		t.Errorf("got %s", log.String())
	}
}
