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
	fieldTook    = "took"
	fieldPause   = "pause"
	fieldCount   = "count"
	fieldHolders = "holders"
)

// operation is what a push and a pull have in common: the report, and the
// steps told to the log and to Notify.
//
// Steps are told by a goroutine of their own. While the gate is closed nothing
// may wait for who gets them; nor does anything ever for who reads a log.
type operation struct {
	db     *driver.Database
	log    zerolog.Logger
	notify func(Event)
	report Report

	phaseName  string
	phaseStart time.Time
	progressed time.Time // when the latest progress was told

	mu    sync.Mutex // guards lines and ended
	lines []line
	ended bool
	more  chan struct{} // a value, at most one, when lines or ended changed
	told  chan struct{} // closed when all is told
}

type line struct {
	event  Event
	level  zerolog.Level
	silent bool // progress: not logged
	fields map[string]any
}

func newOperation(db *driver.Database, log zerolog.Logger, notify func(Event)) *operation {
	op := &operation{
		db: db, log: log, notify: notify,
		more: make(chan struct{}, 1),
		told: make(chan struct{}),
	}
	op.report.GenerationBefore = db.Generation()
	op.report.Generation = op.report.GenerationBefore
	go op.tell()
	return op
}

// step tells a step; text is the line for people.
func (op *operation) step(s Step, text string, fields map[string]any) {
	op.stepEvent(Event{Time: time.Now(), Step: s, Text: text}, fields)
}

func (op *operation) stepEvent(e Event, fields map[string]any) {
	op.enqueue(line{e, zerolog.InfoLevel, false, fields})
}

// failed tells a step that is the end of the operation.
func (op *operation) failed(s Step, err error, fields map[string]any) {
	op.enqueue(line{Event{Time: time.Now(), Step: s, Text: err.Error()}, zerolog.ErrorLevel, false, fields})
}

// count says "1 hold" or "2 holds".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// progress tells how far a long step is, some times a second.
func (op *operation) progress(s Step, text string, done, total int64) {
	if op.notify == nil || time.Since(op.progressed) < 100*time.Millisecond && done != total {
		return
	}
	op.progressed = time.Now()
	op.enqueue(line{Event{Time: op.progressed, Step: s, Text: text, Done: done, Total: total}, zerolog.NoLevel, true, nil})
}

// enqueue tells a line. Much of a text may come from elsewhere: it is for people,
// who read it on terminals.
func (op *operation) enqueue(l line) {
	l.event.Text = printable.Lines(printable.Path(l.event.Text, op.db.Path()))
	op.mu.Lock()
	op.lines = append(op.lines, l)
	op.mu.Unlock()
	op.wake()
}

func (op *operation) wake() {
	select {
	case op.more <- struct{}{}:
	default:
	}
}

func (op *operation) tell() {
	defer close(op.told)
	for range op.more {
		op.mu.Lock()
		lines, ended := op.lines, op.ended
		op.lines = nil
		op.mu.Unlock()
		for _, l := range lines {
			if !l.silent {
				lognote.Send(op.log.WithLevel(l.level).Fields(l.fields).Str("database", op.db.Path()), l.event.Text)
			}
			if op.notify != nil {
				op.notify(l.event)
			}
		}
		if ended {
			return
		}
	}
}

// end waits until every step is told.
func (op *operation) end() {
	op.mu.Lock()
	op.ended = true
	op.mu.Unlock()
	op.wake()
	<-op.told
	lognote.Flush(flushPatience)
}

// flushPatience bounds the wait for the log at the end of an operation.
const flushPatience = 250 * time.Millisecond

// phase ends the current phase of the report and begins the next, if named.
func (op *operation) phase(name string) {
	now := time.Now()
	if op.phaseName != "" {
		op.report.Phases = append(op.report.Phases, Phase{op.phaseName, now.Sub(op.phaseStart)})
	}
	op.phaseName, op.phaseStart = name, now
}
