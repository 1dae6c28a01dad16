package swapper

import (
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/lognote"
	"hotswap/internal/printable"
)

// The keys of log fields.
const (
	fieldSource  = "source"
	fieldTarget  = "target"
	fieldBytes   = "bytes"
	fieldDigest  = "sha256"
	fieldPause   = "pause"
	fieldCount   = "count"
	fieldHolders = "holders"
)

// events are what happens in a push or a pull, on the way to the log and to Notify.
//
// They are passed on by a goroutine of their own: while the gate is closed nothing may
// wait for a consumer, and nothing ever waits for the log's writer.
type events struct {
	db     *driver.Database
	log    zerolog.Logger
	notify func(Event)

	progressed time.Time // when progress was last queued; the operation's goroutine has it

	mu    sync.Mutex // guards what follows; a leaf
	lines []line     // queued
	last  Event      // queued last, but for progress
	ended bool
	more  chan struct{} // a value, at most one, when lines or ended changed
	done  chan struct{} // closed when all is passed on
}

type line struct {
	event  Event
	level  zerolog.Level
	silent bool // progress: not logged
	fields map[string]any
}

func newEvents(db *driver.Database, log zerolog.Logger, notify func(Event)) *events {
	e := &events{
		db: db, log: log, notify: notify,
		more: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
	go e.passOn()
	return e
}

// step queues a step; text is the line for people.
func (e *events) step(s Step, text string, fields map[string]any) {
	e.add(Event{Time: time.Now(), Step: s, Text: text}, fields)
}

// plain queues a step that is its own text.
func (e *events) plain(s Step) { e.step(s, string(s), nil) }

func (e *events) add(event Event, fields map[string]any) {
	e.enqueue(line{event, zerolog.InfoLevel, false, fields})
}

// amiss queues a step that is a warning.
func (e *events) amiss(s Step, text string, fields map[string]any) {
	e.enqueue(line{Event{Time: time.Now(), Step: s, Text: text}, zerolog.WarnLevel, false, fields})
}

// failed queues the step that ends an operation in vain.
func (e *events) failed(s Step, err error, fields map[string]any) {
	e.enqueue(line{Event{Time: time.Now(), Step: s, Text: err.Error()}, zerolog.ErrorLevel, false, fields})
}

// progress queues how far a long step is, some times a second.
func (e *events) progress(s Step, text string, done, total int64) {
	if e.notify == nil || time.Since(e.progressed) < 100*time.Millisecond && done != total {
		return
	}
	e.progressed = time.Now()
	e.enqueue(line{Event{Time: e.progressed, Step: s, Text: text, Done: done, Total: total}, zerolog.NoLevel, true, nil})
}

// warn logs at once what is no step.
func (e *events) warn(text string, fields map[string]any) {
	lognote.Send(e.log.Warn().Str("database", e.db.Path()).Fields(fields), text)
}

// enqueue queues a line. Much of its text may come from elsewhere: it is for people,
// who read it on terminals. What is tried again and again, such as a freeze that a peer is
// not ready for, is said once.
func (e *events) enqueue(l line) {
	l.event.Text = printable.Lines(printable.Path(l.event.Text, e.db.Path()))
	e.mu.Lock()
	again := l.event.Step == e.last.Step && l.event.Text == e.last.Text
	if !again || l.silent {
		e.lines = append(e.lines, l)
	}
	if !l.silent {
		e.last = l.event
	}
	e.mu.Unlock()
	e.wake()
}

func (e *events) wake() {
	select {
	case e.more <- struct{}{}:
	default:
	}
}

func (e *events) passOn() {
	defer close(e.done)
	for range e.more {
		e.mu.Lock()
		lines, ended := e.lines, e.ended
		e.lines = nil
		e.mu.Unlock()
		for _, l := range lines {
			if !l.silent {
				lognote.Send(e.log.WithLevel(l.level).Fields(l.fields).Str("database", e.db.Path()), l.event.Text)
			}
			if e.notify != nil {
				e.notify(l.event)
			}
		}
		if ended {
			return
		}
	}
}

// end waits until everything is passed on.
func (e *events) end() {
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	e.wake()
	<-e.done
	lognote.Flush(flushPatience)
}

// flushPatience bounds the wait for the log at the end of an operation.
const flushPatience = 250 * time.Millisecond

// phases measures the phases of an operation, one after another.
type phases struct {
	ended []Phase
	name  string // of the current one; "" if there is none
	since time.Time
}

// begin ends the current phase and begins the next.
func (p *phases) begin(name string) {
	now := time.Now()
	if p.name != "" {
		p.ended = append(p.ended, Phase{p.name, now.Sub(p.since)})
	}
	p.name, p.since = name, now
}

// end ends the last phase and returns all.
func (p *phases) end() []Phase {
	p.begin("")
	return p.ended
}

// count says "1 connection" or "2 connections".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// human rounds a duration to a few digits.
func human(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}
