package sockserver

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/swapper"
)

func textLine(id, text string) Line {
	return Line{Command: id, Event: newEvent(swapper.StepReceived, text)}
}

func TestSubscriberSeesItsCommandOnly(t *testing.T) {
	f := newFeed().outlet()
	one, all := f.subscribe("one"), f.subscribe("")
	f.publish(textLine("one", "a"))
	f.publish(textLine("two", "b"))
	if lines, more := one.take(); len(lines) != 1 || lines[0].Text != "a" || !more {
		t.Errorf("the command's reader got %v, %v", lines, more)
	}
	if lines, more := all.take(); len(lines) != 2 || !more {
		t.Errorf("everybody's reader got %v, %v", lines, more)
	}
}

func TestLastLineEndsTheCommandsSubscription(t *testing.T) {
	f := newFeed().outlet()
	one, all := f.subscribe("one"), f.subscribe("")
	last := textLine("one", "done")
	last.Last = true
	f.publish(last)
	f.publish(textLine("one", "after the end"))
	if lines, more := one.take(); len(lines) != 1 || more {
		t.Errorf("the command's reader got %v, %v", lines, more)
	}
	if lines, more := all.take(); len(lines) != 2 || !more {
		t.Errorf("everybody's reader got %v, %v", lines, more)
	}
}

func TestSlowSubscriberLosesTheOldestLinesAndIsToldHowMany(t *testing.T) {
	f := newFeed().outlet()
	s := f.subscribe("one")
	const extra = 44
	for i := range subscriberBuffer + extra {
		f.publish(textLine("one", fmt.Sprint(i)))
	}
	lines, _ := s.take()
	if len(lines) != subscriberBuffer || lines[0].Dropped != extra || lines[0].Text != fmt.Sprint(extra) {
		t.Fatalf("got %d lines, the first is %+v", len(lines), lines[0])
	}
	f.publish(textLine("one", "next"))
	if lines, _ = s.take(); lines[0].Dropped != 0 {
		t.Errorf("%d lines were reported twice", lines[0].Dropped)
	}
}

func TestStoppedReaderHoldsNobodyUp(t *testing.T) {
	const lines = 20_000
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 1)
	s := startServer(t, dir, Config{}, func(a *api) {
		a.push = func(_ context.Context, _ *driver.Database, _ io.Reader, opts swapper.PushOptions) (swapper.Report, error) {
			for i := range lines {
				opts.Notify(newEvent(swapper.StepReceiving, fmt.Sprint(i)))
			}
			return swapper.Report{Swapped: true}, nil
		}
	})
	// One that asks for everything, and reads none of it.
	stopped := dial(t, s.StderrSocketPath())
	fmt.Fprint(stopped, "GET / HTTP/1.1\r\nHost: hotswap\r\n\r\n")

	c := newTestClient(t, s)
	sub, err := c.Subscribe(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if _, err := c.Push(t.Context(), TheDatabase, strings.NewReader("x"), PushParams{ID: "one"}); err != nil {
		t.Fatal(err)
	}
	var last Line
	seen := 0
	for {
		line, err := sub.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		seen += 1 + line.Dropped
		last = line
	}
	if seen != lines+1 {
		t.Errorf("%d lines came or were counted as dropped, want %d", seen, lines+1)
	}
	if !last.Last || last.Report == nil || !last.Report.Swapped {
		t.Errorf("the last line is %+v", last)
	}
}

func TestPeopleGetText(t *testing.T) {
	line := textLine("abc", "first\nsecond")
	line.Dropped = 3
	if got := string(formatText(line, false)); got != "(3 lines dropped: this reader was too slow)\nfirst\nsecond\n" {
		t.Errorf("alone: %q", got)
	}
	got := string(formatText(line, true))
	if strings.Count(got, " abc ") != 3 {
		t.Errorf("among others: %q", got)
	}
}

func TestClosingEndsEverySubscription(t *testing.T) {
	s := startServer(t, shortDir(t), Config{}, nil)
	sub, err := newTestClient(t, s).Subscribe(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sub.Next(); err != io.EOF {
		t.Errorf("got %v, want io.EOF", err)
	}
}
